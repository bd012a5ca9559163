//! The answer to one connection too many.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Most callers told at once that there is no place; beyond it they are cut without a word.
const TOLD_AT_ONCE: usize = 16;
/// How long one is listened to while it is told.
const TELLING: Duration = Duration::from_secs(1);
/// Most bytes of its request that are read, so that it sees the answer and not a reset.
const HEARD_BYTES: usize = 16 << 10;

static TOLD: Semaphore = Semaphore::const_new(TOLD_AT_ONCE);

const BODY: &str = r#"{"type":"/docs/errors/too_many_connections","title":"Too many connections","status":503,"detail":"the server holds as many connections as it may; try again in a second, or use fewer and keep them open","code":"too_many_connections"}"#;

/// Tells the caller of `stream` to come again, and closes it.
pub(super) fn busy(stream: TcpStream) {
    let Ok(turn) = TOLD.try_acquire() else { return };
    tokio::spawn(async move {
        // Whether it heard us is its own affair.
        let _heard = tokio::time::timeout(TELLING, tell(stream)).await;
        drop(turn);
    });
}

async fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let (mut heard, mut piece) = (0, [0; 1024]);
    while heard < HEARD_BYTES {
        match stream.read(&mut piece).await? {
            0 => break,
            count => heard += count,
        }
    }
    Ok(())
}
