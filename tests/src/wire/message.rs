/// One HTTP request, before it is bytes.
#[derive(Clone, Debug)]
pub struct Message {
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In this order, as they are.
    pub headers: Vec<(String, String)>,
    /// The bytes behind the head.
    pub body: Vec<u8>,
}

impl Message {
    /// Adds a header, or replaces the one of this name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// The head with its empty line. The connection ends after the answer.
    pub fn head(&self) -> String {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.target)];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push("Connection: close".to_owned());
        let is_length = |name: &str| {
            ["content-length", "transfer-encoding"].iter().any(|n| name.eq_ignore_ascii_case(n))
        };
        let has_length = self.headers.iter().any(|(name, _)| is_length(name));
        if !has_length && (self.method != "GET" || !self.body.is_empty()) {
            lines.push(format!("Content-Length: {}", self.body.len()));
        }
        format!("{}\r\n\r\n", lines.join("\r\n"))
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head().as_bytes(), &self.body].concat()
    }
}
