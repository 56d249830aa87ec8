use std::io;

/// An answer as it came over the wire.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without what HTTP puts around it.
    pub body: String,
}

impl Reply {
    /// Takes apart what a server sent until it closed. Fails when that is no HTTP/1.1.
    pub fn read(bytes: &[u8]) -> io::Result<Self> {
        Self::parse(bytes).ok_or_else(|| {
            let got = String::from_utf8_lossy(bytes).into_owned();
            io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP answer: {got:?}"))
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let headers: Option<Vec<_>> = lines
            .map(|line| line.split_once(':'))
            .map(|pair| pair.map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned())))
            .collect();
        let mut reply = Self { status, headers: headers?, body: String::new() };
        let body = &bytes[end + 4..];
        let body = match reply.header("transfer-encoding") {
            Some("chunked") => unchunked(body)?,
            _ => body.to_vec(),
        };
        reply.body = String::from_utf8(body).ok()?;
        Some(reply)
    }

    /// A header that is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next()?;
        found.next().is_none().then_some(first.1.as_str())
    }
}

/// RFC 9112, section 7.1.
fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(end + 2..end + 2 + size)?);
        bytes = bytes.get(end + 2 + size + 2..)?;
    }
}
