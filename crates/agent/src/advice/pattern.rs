//! Patterns as OpenSSH writes them (ssh_config(5), PATTERNS).

/// Whether `*` (any text) and `?` (any one character) in `pattern` make it match all of `text`.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    wildcard(text.as_bytes(), pattern.as_bytes())
}

/// Whether a comma-separated list of patterns matches: one that is not negated does, and none
/// that is negated with `!`.
pub(super) fn list_matches(text: &str, list: &str) -> ListMatch {
    let mut found = ListMatch::No;
    for part in list.split(',') {
        match part.strip_prefix('!') {
            Some(negated) if matches(text, negated) => return ListMatch::Negated,
            Some(_) => {}
            None if matches(text, part) => found = ListMatch::Yes,
            None => {}
        }
    }
    found
}

/// What a list of patterns says of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListMatch {
    /// A pattern matches, no negated one does.
    Yes,
    /// No pattern matches.
    No,
    /// A negated pattern matches.
    Negated,
}

/// Goes back to the last `*` only, so the time is at most the product of both lengths.
fn wildcard(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((at, next));
                next += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[at] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((from, asterisk)) = star else { return false };
                star = Some((from + 1, asterisk));
                (at, next) = (from + 1, asterisk + 1);
            }
        }
    }
    pattern[next..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn asterisk_and_question_mark_match_as_in_openssh() {
        for (text, pattern) in
            [("root", "root"), ("root", "*"), ("root", "r*t"), ("root", "????"), ("", "**")]
        {
            assert!(matches(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in
            [("root", "toor"), ("root", "???"), ("root", "Root"), ("root", ""), ("root", "!root")]
        {
            assert!(!matches(text, pattern), "{text} {pattern}");
        }
    }

    #[test]
    fn a_negated_part_of_a_list_wins_wherever_it_stands() {
        assert_eq!(list_matches("root", "admin,root"), ListMatch::Yes);
        assert_eq!(list_matches("root", "*,!root"), ListMatch::Negated);
        assert_eq!(list_matches("root", "!root,*"), ListMatch::Negated);
        assert_eq!(list_matches("root", "!admin"), ListMatch::No);
    }

    proptest! {
        #[test]
        fn a_pattern_that_is_the_text_matches(text in "[a-z]{0,20}", foreign in ".*", other in ".*") {
            prop_assert!(matches(&text, &text));
            prop_assert!(matches(&foreign, "*"));
            let _ = list_matches(&foreign, &other);
        }
    }
}
