//! `video_processing`: pretends to convert a video, at twice the speed it plays. `processing_time` is not looked at.

use serde::Serialize;
use serde_json::Number;

use super::pace::Work;
use super::parameters::Parameters;

/// Seconds of work for a second of video.
const PACE: f64 = 0.5;

#[derive(Serialize)]
struct Video {
    original_length: Number,
    processed_length: Number,
    processing_time: f64,
    output_formats: [&'static str; 2],
    video_url: String,
}

pub(super) fn plan(parameters: &Parameters, digits: &str) -> Result<Work, String> {
    let video = parameters.seconds("video_length", 60, PACE)?;
    let video_url = format!("https://videos.example.com/{digits}.mp4");
    Ok(Work::new(video.length, move || Video {
        original_length: video.number.clone(),
        processed_length: video.number,
        processing_time: video.length.as_secs_f64(),
        output_formats: ["mp4", "webm"],
        video_url,
    }))
}
