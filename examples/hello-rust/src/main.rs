//! A web server from Rust's standard library alone, which says which version of it answers.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, thread};

const VERSION: &str = include_str!("../VERSION");

fn main() -> Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".into());
    for stream in TcpListener::bind(format!("127.0.0.1:{port}"))?.incoming().flatten() {
        // A connection that breaks is its client's matter alone.
        thread::spawn(|| answer(stream).ok());
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.map_or(false, |line| !line.is_empty()) {}
    let (status, body) = match request.split_whitespace().nth(1) {
        Some("/") => ("200 OK", format!("Hello from Rust {VERSION}")),
        Some("/version") => ("200 OK", VERSION.to_string()),
        Some("/healthz") => ("200 OK", "ok\n".to_string()),
        _ => ("404 Not Found", "not found\n".to_string()),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
