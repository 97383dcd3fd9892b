//! `ebm train --serve`: what the page is told, and what it is refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the training when a test ends, however it does.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ebm-{name}-{}", std::process::id()))
}

/// Asks `host` as `HOST: name`; the status and the body.
fn ask(host: &str, method: &str, path: &str, name: &str) -> (u32, Vec<u8>) {
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

fn state(host: &str) -> serde_json::Value {
    serde_json::from_slice(&ask(host, "GET", "/state.json", host).1).unwrap()
}

#[test]
fn a_page_shows_the_run_to_this_machine_alone_and_changes_nothing() {
    let folder = scratch("serve");
    let train = |out: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebm"));
        command.args(["train", "cd/eight-gaussians-small", "--device", "oracle", "--set", "trainer.log_every=1"]);
        command.args(["--set", "algorithm.batch=16", "--set", "trainer.sample_every=0"]);
        command.arg("--out").arg(folder.join(out)).args(more).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let mut run = Run(train("watched", &["--steps", "100000", "--serve", "0"]).spawn().unwrap());
    let lines = BufReader::new(run.0.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.starts_with("watch it: http://")).unwrap();
    let host = line.trim_start_matches("watch it: http://").to_string();
    assert!(host.starts_with("127.0.0.1:"), "{host}");

    let (end, mut now) = (Instant::now() + Duration::from_secs(120), state(&host));
    while now["drawn"].is_null() || now["sw2"].as_array().unwrap().is_empty() {
        assert!(Instant::now() < end && now["trouble"] == "", "{now}");
        std::thread::sleep(Duration::from_millis(200));
        now = state(&host);
    }
    assert_eq!(
        (&now["preset"], &now["seed"], &now["steps"]),
        (&"cd/eight-gaussians-small".into(), &0.into(), &100_000.into())
    );
    let numbers = |name: &str| now[name].as_array().unwrap().len();
    assert_eq!((numbers("points"), numbers("chains")), (1200, 1200), "600 points of the data, 600 chains");
    let sw2 = now["sw2"][0][1].as_f64().unwrap();
    assert!(sw2 > 0.01 && sw2 < 3.0, "{sw2}");
    let (_, png) = ask(&host, "GET", "/picture.png", &host);
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let metrics = String::from_utf8(ask(&host, "GET", "/metrics.csv", &host).1).unwrap();
    assert!(metrics.starts_with("step,wall_s,") && metrics.contains("energy_gap"), "{metrics}");
    for (path, words) in [("/", "<canvas id=\"map\""), ("/ebm.js", "export default")] {
        let (status, body) = ask(&host, "GET", path, "localhost:8000");
        assert!(status == 200 && String::from_utf8_lossy(&body).contains(words), "{path}: {status}");
    }
    let status = |method, path, name: &str| ask(&host, method, path, name).0;
    assert_eq!(status("POST", "/state.json", &host), 405);
    assert_eq!(status("GET", "/config.toml", &host), 404);
    assert_eq!(status("GET", "/state.json", "elsewhere.example"), 403);
    assert_eq!(status("GET", "/state.json", "127.0.0.1.example:80"), 403);
    let mut foreign = TcpStream::connect(&host).unwrap();
    write!(
        foreign,
        "GET /state.json HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    foreign.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    // A body that never comes is not waited for, and no room is made for it.
    let mut endless = TcpStream::connect(&host).unwrap();
    write!(endless, "GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9000000000000000000\r\n\r\n").unwrap();
    let drawn = now["drawn"].as_u64().unwrap();
    while state(&host)["done"].as_u64().unwrap() < drawn + 5 {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(run);

    // The numbers are those of a run that nobody watches, also after pictures.
    let steps = (drawn + 5).to_string();
    assert!(train("alone", &["--steps", &steps]).output().unwrap().status.success());
    let rows = |out: &str| -> Vec<String> {
        let text = std::fs::read_to_string(folder.join(out).join("metrics.csv")).unwrap();
        // Without the seconds.
        let row = |line: &str| {
            line.split(',').enumerate().filter(|(i, _)| *i != 1).map(|(_, v)| v).collect::<Vec<_>>().join(",")
        };
        text.lines().take(drawn as usize + 6).map(row).collect()
    };
    assert_eq!(rows("watched").len(), drawn as usize + 6);
    assert_eq!(rows("watched"), rows("alone"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_port_that_is_taken_is_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = scratch("serve-taken");
    let out = folder.join("run").display().to_string();
    let words = ["train", "cd/eight-gaussians-small", "--device", "oracle", "--out", &out, "--serve", &port];
    let output = Command::new(env!("CARGO_BIN_EXE_ebm")).args(words).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let line = stderr.lines().find(|line| line.starts_with("error:")).unwrap();
    assert!(line.contains(&format!("--serve {port}")) && line.contains("another port"), "{line}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.exists(), "nothing is begun");
}
