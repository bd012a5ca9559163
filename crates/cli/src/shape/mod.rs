//! The forms JSON is printed in. Numbers stay the text they were: nothing is rounded on its way through.

pub(crate) mod fields;
pub(crate) mod json;
pub(crate) mod yaml;
