//! A password that is looked for everywhere, in every form in which it could have been written.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// The password, and where it is not to be found.
pub struct Marker {
    text: &'static str,
    /// How each of its bytes may be written where text is escaped, one way mixed with another.
    letters: Vec<Vec<Vec<u8>>>,
    /// The whole of it, in other forms.
    wholes: Vec<(&'static str, Vec<u8>)>,
    /// Which pairs of bytes may begin any of these: files have many bytes, and few of these.
    begins: Vec<bool>,
}

impl Marker {
    /// Symbols that look different in every encoding.
    pub const PASSWORD: &str = "Mk7#q&Zx!2^Wv@%";

    /// Looks for this text, which has at least eight bytes and is ASCII.
    pub fn new(text: &'static str) -> Self {
        let letters: Vec<_> = text.bytes().map(spellings).collect();
        let wholes = wholes(text.as_bytes());
        let mut begins = vec![false; 1 << 16];
        let mut may_begin = |pair: [u8; 2]| begins[usize::from(u16::from_be_bytes(pair))] = true;
        wholes.iter().for_each(|(_, whole)| may_begin([whole[0], whole[1]]));
        for first in &letters[0] {
            for second in &letters[1] {
                may_begin([first[0], *first.get(1).unwrap_or(&second[0])]);
            }
        }
        Self { text, letters, wholes, begins }
    }

    /// What is looked for.
    pub fn text(&self) -> &str {
        self.text
    }

    /// The forms that these bytes hold, each named once.
    pub fn forms_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (at, pair) in bytes.windows(2).enumerate() {
            if !self.begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                continue;
            }
            let rest = &bytes[at..];
            let whole = |(_, whole): &&(_, Vec<u8>)| rest.starts_with(whole);
            found.extend(self.wholes.iter().filter(whole).map(|(name, _)| *name));
            found.extend(spelled(&self.letters, rest).then_some("text"));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The files at or below this path that hold it, each with the form.
    pub fn traces(&self, path: &Path) -> Vec<String> {
        let Ok(kind) = fs::symlink_metadata(path) else { return Vec::new() };
        if kind.is_dir() {
            // A server at work may take a folder away.
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            return entries.flat_map(|entry| self.traces(&entry.path())).collect();
        }
        let bytes = if kind.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
        let forms = self.forms_in(&bytes).into_iter();
        forms.map(|form| format!("{}: {form}", path.display())).collect()
    }
}

/// One byte: as it is, escaped in a URL once or twice, and as JSON, C, Rust, HTML and PostgreSQL's
/// log write it.
fn spellings(byte: u8) -> Vec<Vec<u8>> {
    let mut all = vec![vec![byte]];
    for hex in [format!("{byte:02X}"), format!("{byte:02x}")] {
        for before in ["%", "%25", "\\u00", "\\\\u00", "\\x", "\\\\x"] {
            all.push(format!("{before}{hex}").into_bytes());
        }
        all.push(format!("\\u{{{hex}}}").into_bytes());
    }
    all.push(format!("\\{byte:03o}").into_bytes());
    all.push(format!("&#{byte};").into_bytes());
    if byte == b'&' {
        all.push(b"&amp;".to_vec());
    }
    if byte.is_ascii_punctuation() {
        all.push(vec![b'\\', byte]);
    }
    all
}

/// Whether the bytes begin with these letters, each in one of its spellings.
fn spelled(letters: &[Vec<Vec<u8>>], bytes: &[u8]) -> bool {
    let Some((letter, others)) = letters.split_first() else { return true };
    let rests = letter.iter().filter_map(|spelling| bytes.strip_prefix(&spelling[..]));
    rests.into_iter().any(|rest| spelled(others, rest))
}

fn wholes(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        bytes.iter().flat_map(|byte| order(u16::from(*byte))).collect()
    };
    let mut wholes = vec![
        ("hex", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
        ("UTF-16", wide(u16::to_le_bytes)),
        ("UTF-16", wide(u16::to_be_bytes)),
        ("reversed", bytes.iter().rev().copied().collect()),
    ];
    // Inside longer base64 text it starts at one of three places: what is left of each when the
    // letters that its neighbours touch are cut off.
    for offset in 0..3 {
        let shifted = [&vec![0; offset], bytes].concat();
        for engine in [&STANDARD, &URL_SAFE] {
            let text = engine.encode(&shifted);
            let inner = &text[if offset == 0 { 0 } else { 4 }..text.len() - 4];
            wholes.push(("base64", inner.as_bytes().to_vec()));
        }
    }
    wholes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker::new(Marker::PASSWORD)
    }

    #[test]
    fn it_is_found_in_every_form_wherever_it_stands() {
        let plain = Marker::PASSWORD;
        let json = plain.replace('&', "\\u0026").replace('@', "\\u0040");
        let url: String = plain.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let some = plain.replace('%', "%25").replace('#', "%23").replace('&', "%26");
        let html = plain.replace('&', "&amp;");
        let hex: String = plain.bytes().map(|byte| format!("{byte:02X}")).collect();
        let reversed: String = plain.chars().rev().collect();
        let texts = [plain, &json, &url, &some, &some.replace('%', "%25"), &html, &hex, &reversed];
        let wide: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut forms: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).into();
        forms.push(wide);
        for before in 0..9 {
            let noise = b"%4%Mk7\\#q"[..before].to_vec();
            let around = [&noise, plain.as_bytes(), b"Mk"].concat();
            forms.extend([&STANDARD, &URL_SAFE].map(|engine| engine.encode(&around).into_bytes()));
        }
        for form in forms {
            for before in ["", "M", "%4d%6"] {
                let bytes = [before.as_bytes(), &form, b"Mk7#"].concat();
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                assert!(!marker().forms_in(&bytes).is_empty(), "{shown}");
            }
        }
    }

    #[test]
    fn it_is_not_found_where_it_is_not() {
        for near in ["", "Mk7#q&Zx!2^Wv@", "k7#q&Zx!2^Wv@%", "Mk7#q&Zx!2^wv@%"] {
            assert_eq!(marker().forms_in(near.as_bytes()), [""; 0], "{near}");
        }
    }
}
