//! A service that answers what a test tells it: what the real one says only on a bad day.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::support::{Ended, opencpm};

/// Where it listens. It ends with the test's process.
pub(crate) struct Scripted {
    endpoint: String,
}

impl Scripted {
    /// Gives these answers, one for each request; the last one to every further request.
    pub(crate) fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        thread::spawn(move || {
            let last = answers.last().cloned();
            let mut answers = answers.into_iter();
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(answer) = answers.next().or_else(|| last.clone()) else { return };
                // A client that is gone needs no answer.
                drop(reply(stream, &answer));
            }
        });
        Self { endpoint }
    }

    /// Gives this as the data of a success.
    pub(crate) fn data(data: &str) -> Self {
        Self::answering(&[&success(data)])
    }

    /// Asks it.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Ended {
        let endpoint = ["--endpoint", self.endpoint.as_str()];
        let mut command = opencpm(endpoint.into_iter().chain(arguments.iter().copied()));
        command.env("OPENCPM_SECRET_ID", "id").env("OPENCPM_SECRET_KEY", "key");
        Ended::of(command.output().expect("the program starts"))
    }
}

/// An answer with this data.
pub(crate) fn success(data: &str) -> String {
    format!(r#"{{"code":0,"message":"OK","codeDesc":"Success","data":{data}}}"#)
}

/// A refusal.
pub(crate) fn refusal(code: u16, message: &str) -> String {
    format!(r#"{{"code":{code},"message":"{message}","codeDesc":"Name"}}"#)
}

fn reply(stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let mut request = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while request.read_line(&mut line)? > 2 {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    request.by_ref().take(length).read_to_end(&mut Vec::new())?;
    write!(
        request.into_inner(),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{answer}",
        answer.len()
    )
}
