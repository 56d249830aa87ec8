//! File name patterns as glob(3) expands them without flags, the way sshd's `Include` does.

use super::{Files, Kind, Unreadable};

/// How many paths one pattern may lead to.
const MOST_PATHS: usize = 4096;

/// The paths that exist and match `pattern`, an absolute path with `*`, `?` and `[...]` in its
/// components, in byte order.
///
/// # Errors
///
/// A directory on the way could not be read, or there are too many paths.
pub(super) fn expand(files: &dyn Files, pattern: &str) -> Result<Vec<String>, Unreadable> {
    let mut paths = vec![String::new()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let mut deeper = Vec::new();
        for path in &paths {
            deeper.extend(step(files, path, component)?);
        }
        if deeper.len() > MOST_PATHS {
            return Err(Unreadable::TooLarge);
        }
        paths = deeper;
    }
    let mut found = Vec::new();
    for path in paths {
        if files.kind(&path)? != Kind::Absent {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The paths below `path` that one component leads to; existence is not checked for a plain name.
fn step(files: &dyn Files, path: &str, component: &str) -> Result<Vec<String>, Unreadable> {
    if !component.contains(['*', '?', '[', '\\']) {
        return Ok(vec![format!("{path}/{component}")]);
    }
    let directory = if path.is_empty() { "/" } else { path };
    if files.kind(directory)? != Kind::Directory {
        return Ok(Vec::new());
    }
    let names = files.list(directory)?.unwrap_or_default();
    Ok(names
        .iter()
        .filter(|name| !name.starts_with('.') || component.starts_with('.'))
        .filter(|name| matches(name.as_bytes(), component.as_bytes()))
        .map(|name| format!("{path}/{name}"))
        .collect())
}

/// Whether one component matches a name. Goes back to the last `*` only.
fn matches(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if at == name.len() {
            return pattern[next..].iter().all(|byte| *byte == b'*');
        }
        if pattern.get(next) == Some(&b'*') {
            star = Some((at, next));
            next += 1;
            continue;
        }
        if let Some(used) = one(name[at], &pattern[next..]) {
            at += 1;
            next += used;
            continue;
        }
        let Some((from, asterisk)) = star else { return false };
        star = Some((from + 1, asterisk));
        (at, next) = (from + 1, asterisk + 1);
    }
}

/// How many bytes of the pattern match this one byte of the name; `None` when they do not.
fn one(byte: u8, pattern: &[u8]) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match bracket(byte, pattern) {
            Some((true, used)) => Some(used),
            Some((false, _)) => None,
            None => (byte == b'[').then_some(1),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        plain => (plain == byte).then_some(1),
    }
}

/// Whether a bracket expression holds the byte, and its length; `None` when it is not closed and
/// so is plain text.
fn bracket(byte: u8, pattern: &[u8]) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut holds = false;
    let mut at = first;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((holds != negated, at + 1));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                holds |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                holds |= low == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matching_files_come_sorted_and_hidden_ones_not_at_all() {
        let files = MemoryTree::new()
            .file("/etc/ssh/sshd_config.d/50-cloud-init.conf", "")
            .file("/etc/ssh/sshd_config.d/10-site.conf", "")
            .file("/etc/ssh/sshd_config.d/.hidden.conf", "")
            .file("/etc/ssh/sshd_config.d/readme", "");
        assert_eq!(
            expand(&files, "/etc/ssh/sshd_config.d/*.conf").unwrap(),
            ["/etc/ssh/sshd_config.d/10-site.conf", "/etc/ssh/sshd_config.d/50-cloud-init.conf"]
        );
        assert_eq!(expand(&files, "/etc/s?h/*.d/[!0-4]*.conf").unwrap().len(), 1);
        assert!(expand(&files, "/etc/ssh/other.d/*.conf").unwrap().is_empty());
        assert!(expand(&files, "/etc/ssh/absent").unwrap().is_empty());
    }

    #[test]
    fn brackets_hold_ranges_and_an_open_one_is_text() {
        assert!(matches(b"b1", b"[a-c][0-9]"));
        assert!(matches(b"]", b"[]]"));
        assert!(!matches(b"d", b"[!d]"));
        assert!(matches(b"[x", b"[x"));
        assert!(matches(b"*", b"\\*"));
    }

    proptest! {
        #[test]
        fn any_pattern_is_tried_without_panic(name in ".*", pattern in ".*") {
            let _ = matches(name.as_bytes(), pattern.as_bytes());
        }
    }
}
