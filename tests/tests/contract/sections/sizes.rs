//! Size limits: what is over a bound gets its code before it is read to the end (contract
//! section 1).

use std::io::Write;

use opencpm_domain::Condition::TooLarge;
use opencpm_tests::wire::{answer_on, connect, exchange};

use super::Section;
use crate::ask::{Ask, Dialect, Way, devices};
use crate::case::{Expected, Failure, Story, done, refused};
use crate::target::Target;

const REQUEST_LINE: usize = 64 << 10;
const BODY: usize = 10 << 20;

pub(super) fn section() -> Section {
    const GETS: &[Way] = &[Way::V2Get, Way::V1Get, Way::Tc3Get];
    const FORM_POSTS: &[Way] = &[Way::V2Post, Way::V1Post];
    let json = |length| devices().json(&format!("{{}}{}", " ".repeat(length - 2)));
    let cases = vec![
        done("a request line of 64 KiB", &GETS[..2], line_of(REQUEST_LINE)),
        done("a signed request line of 64 KiB", &GETS[2..], signed_line_of(REQUEST_LINE)),
        refused("a request line of 64 KiB and 1", GETS, line_of(REQUEST_LINE + 1), TooLarge),
        refused("a request line of 70,000", GETS, line_of(70_000), TooLarge),
        refused("a request line of 300,000", GETS, line_of(300_000), TooLarge),
        done("a form of 10 MiB", FORM_POSTS, form_of(BODY)),
        refused("a form of 10 MiB and 1", FORM_POSTS, form_of(BODY + 1), TooLarge),
        done("JSON of 10 MiB", &[Way::Tc3Post], json(BODY)),
        refused("JSON of 10 MiB and 1", &[Way::Tc3Post], json(BODY + 1), TooLarge),
        refused("a header of 1 MiB", &[Way::V2Post, Way::Tc3Post], header_of(1 << 20), TooLarge),
    ];
    let stories = vec![
        Story {
            name: "2.0: an announced body is refused before it comes",
            run: |t| announced(t, Dialect::V2),
        },
        Story {
            name: "3.0: an announced body is refused before it comes",
            run: |t| announced(t, Dialect::V3),
        },
        Story {
            name: "2.0: a chunked body is refused before its end",
            run: |t| growing(t, Dialect::V2),
        },
        Story {
            name: "3.0: a chunked body is refused before its end",
            run: |t| growing(t, Dialect::V3),
        },
        Story { name: "a refused body leaves the server in order", run: in_order_after },
    ];
    Section { title: "sizes", cases, stories }
}

/// Separators carry nothing and are not signed in a form.
fn line_of(length: usize) -> Ask {
    devices().sent(move |m| {
        let now = m.method.len() + m.target.len() + "  HTTP/1.1".len();
        m.target.push_str(&"&".repeat(length - now));
    })
}

fn signed_line_of(length: usize) -> Ask {
    devices().tc3(move |t| t.payload = "&".repeat(length - "GET /? HTTP/1.1".len()))
}

fn form_of(length: usize) -> Ask {
    devices().sent(move |m| m.body.resize(length, b'&'))
}

fn header_of(length: usize) -> Ask {
    devices().sent(move |m| m.set("X-Long", &"a".repeat(length)))
}

fn head(target: &Target, dialect: Dialect, length: &str) -> String {
    format!("POST {} HTTP/1.1\r\nHost: {}\r\n{length}\r\n\r\n", dialect.path(), target.authority)
}

fn announced(target: &Target, dialect: Dialect) -> Result<(), Failure> {
    let mut stream = connect(&target.authority)?;
    let head = head(target, dialect, &format!("Content-Length: {}", BODY + 1));
    stream.write_all(head.as_bytes())?;
    target.judged(&answer_on(&mut stream)?, dialect, &Expected::Refused(TooLarge)).map(|_| ())
}

fn growing(target: &Target, dialect: Dialect) -> Result<(), Failure> {
    let mut stream = connect(&target.authority)?;
    stream.write_all(head(target, dialect, "Transfer-Encoding: chunked").as_bytes())?;
    let chunk = format!("100000\r\n{}\r\n", "&".repeat(1 << 20));
    for _ in 0..=BODY >> 20 {
        // The last of them may meet an answer and a closed door.
        drop(stream.write_all(chunk.as_bytes()));
    }
    target.judged(&answer_on(&mut stream)?, dialect, &Expected::Refused(TooLarge)).map(|_| ())
}

fn in_order_after(target: &Target) -> Result<(), Failure> {
    let message = target.message(&form_of(BODY + 1), Way::V2Post)?;
    target.judged(
        &exchange(&target.authority, &message.bytes())?,
        Dialect::V2,
        &Expected::Refused(TooLarge),
    )?;
    target.done(&devices(), Way::V2Post).map(|_| ())
}
