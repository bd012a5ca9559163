//! Starts the PostgreSQL that the test processes of one run share, prints its URL, and ends it once its standard input
//! is closed, or it is.

use std::io::{self, Read, Write};

use tasklane_testkit::postgres::{Cluster, Options};

fn main() -> io::Result<()> {
    let cluster = Cluster::start(Options::fast());
    writeln!(io::stdout(), "{}", cluster.url())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(cluster);
    Ok(())
}
