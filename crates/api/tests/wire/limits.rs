//! Sizes and times (contract section 1), and what the HTTP library would answer on its own.

use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opencpm_api::{Limits, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ask::{Ask, HOST, get, post};
use crate::world::{World, patient, read_reply};

fn limited(limits: Limits) -> Settings {
    Settings { limits, ..Settings::default() }
}

#[tokio::test]
async fn a_request_line_that_is_too_long_is_answered_in_the_apis_form() {
    let world = World::new().await;
    for length in [65_500, 65_530, 65_600, 200_000, 2_000_000] {
        let reply = world.send(get(&"a".repeat(length))).await;
        reply.assert_refused(4000);
        assert!(
            reply.message().contains("too long")
                || reply.message().contains("longer")
                || length < 65_510,
            "{length}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn a_long_request_line_on_a_used_connection_is_answered_too() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let first = get(&Ask::new("DescribeDevice").form("GET")).replace("Connection: close\r\n", "");
    stream.write_all(first.as_bytes()).await.unwrap();
    let mut some = vec![0; 4096];
    assert!(patient(stream.read(&mut some)).await.unwrap() > 0);
    stream.write_all(get(&"a".repeat(70_000)).as_bytes()).await.unwrap();
    read_reply(&mut stream).await.assert_refused(4000);
}

#[tokio::test]
async fn what_is_not_http_is_answered_in_the_apis_form() {
    let world = World::new().await;
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET /v2/index.php?a b HTTP/1.1\r\n\r\n",
        "hello\r\n\r\n",
        "GET /v2/index.php HTTP/1.1\r\nno colon\r\n\r\n",
    ] {
        world.send(garbage).await.assert_refused(4000);
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_answered_before_it_comes() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let head =
        format!("POST /v2/index.php HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10485761\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_reply(&mut stream).await.assert_refused(4000);
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_answered_before_its_end() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let head = format!(
        "POST /v2/index.php HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", "a".repeat(0x10_0000));
    for _ in 0..11 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let reply = read_reply(&mut stream).await;
    reply.assert_refused(4000);
    assert!(reply.message().contains("10485760"), "{reply:?}");
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_read() {
    let world = World::new().await;
    let form = Ask::new("DescribeDevice").form("POST");
    let padded = format!("{form}{}", "&".repeat((10 << 20) - form.len()));
    world.send(post(&padded)).await.assert_done();
    world.send(post(&(padded + "&"))).await.assert_refused(4000);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits { body_time: Duration::from_millis(50), ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let mut stream = world.connect().await;
    let form = post(&Ask::new("DescribeDevice").form("POST"));
    stream.write_all(&form.as_bytes()[..form.len() - 1]).await.unwrap();
    read_reply(&mut stream).await.assert_refused(4000);
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let form = post(&Ask::new("DescribeDevice").form("POST"));
    stream.write_all(&form.as_bytes()[..form.len() - 1]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    patient(stream.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(world.service.asked.all(), [""; 0]);
}

#[tokio::test]
async fn connections_that_say_nothing_end() {
    let limits = Limits { head_time: Duration::from_millis(50), ..Limits::default() };
    let world = World::with(limited(limits)).await;
    for start in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v2/index.php HTTP/1.1\r\nHost:"] {
        let mut stream = world.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        patient(stream.read_to_end(&mut bytes)).await.unwrap();
        assert_eq!(bytes, b"", "after {start:?}");
    }
}

#[tokio::test]
async fn http_2_connections_that_ask_nothing_end_although_they_answer_pings() {
    let limits = Limits { head_time: Duration::from_millis(50), ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let io = TokioIo::new(world.connect().await);
    let (client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io)
            .await
            .unwrap();
    patient(connection).await.unwrap();
    drop(client);
}

#[tokio::test]
async fn http_2_clients_that_take_no_answer_are_left_in_the_end() {
    let head_time = Duration::from_millis(50);
    let limits = Limits { head_time, farewell_time: head_time, ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let io = TokioIo::new(world.connect().await);
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(8)
        .handshake(io)
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    let form = Ask::new("DescribeDevice").form("GET");
    let request = Request::get(format!("http://{HOST}/v2/index.php?{form}"))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let untaken = patient(client.send_request(request)).await.unwrap();
    // The connection ends one way or another; without a bound it never would.
    drop(patient(driver).await.unwrap());
    drop(untaken);
}

#[tokio::test]
async fn a_request_that_takes_long_is_not_idle() {
    let limits = Limits { head_time: Duration::from_millis(20), ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let mut stream = world.connect().await;
    let slow = Ask::reset("abce1234").with("instanceIds.0", "cpm-slow");
    stream.write_all(slow.post().as_bytes()).await.unwrap();
    patient(world.service.asked.first()).await;
    // Long enough for other connections to be found idle, twice.
    for _ in 0..2 {
        let mut silent = world.connect().await;
        patient(silent.read_to_end(&mut Vec::new())).await.unwrap();
    }
    world.service.gate.add_permits(1);
    read_reply(&mut stream).await.assert_done();
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let first = world.connect().await;
    let mut second = world.connect().await;
    second.write_all(Ask::new("DescribeDevice").get().as_bytes()).await.unwrap();
    drop(first);
    read_reply(&mut second).await.assert_done();
}

#[tokio::test]
async fn large_bodies_that_do_not_come_keep_no_other_out() {
    let limits = Limits { body_memory: 20 << 20, ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let begun = format!(
        "POST /v2/index.php HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10000000\r\n\r\n{}",
        "a".repeat(100_000)
    );
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = world.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let form = Ask::new("DescribeDevice").form("POST");
    let large = format!("{form}{}", "&".repeat(1 << 20));
    world.send(post(&large)).await.assert_done();
}

#[tokio::test]
async fn large_bodies_that_are_not_answered_yet_count_too() {
    let (body, body_memory, body_time) = (200_000, 0, Duration::from_millis(500));
    let limits = Limits { body, body_memory, body_time, ..Limits::default() };
    let world = World::with(limited(limits)).await;
    let padded = |ask: &Ask| {
        let form = ask.form("POST");
        post(&format!("{form}{}", "&".repeat(body - form.len())))
    };
    let mut waiting = world.connect().await;
    let slow = Ask::reset("abce1234").with("instanceIds.0", "cpm-slow");
    waiting.write_all(padded(&slow).as_bytes()).await.unwrap();
    patient(world.service.asked.first()).await;
    let other = padded(&Ask::new("DescribeDevice"));
    world.send(&other).await.assert_refused(4000);
    world.send(Ask::new("DescribeDevice").post()).await.assert_done();
    world.service.gate.add_permits(1);
    read_reply(&mut waiting).await.assert_done();
    world.send(&other).await.assert_done();
}
