//! One line of sshd_config(5), taken apart the way sshd does.

/// A keyword in lower case and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) keyword: String,
    rest: &'a str,
}

/// The line cannot be taken apart; sshd refuses such a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Line<'a> {
    /// `None` for an empty line and a comment.
    pub(super) fn parse(line: &'a str) -> Result<Option<Self>, Malformed> {
        let line = line.trim_end_matches([' ', '\t', '\r', '\x0c']);
        let line = line.trim_start_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (keyword, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(Malformed)?,
            None => line.split_at(line.find([' ', '\t', '\r', '=', '"']).ok_or(Malformed)?),
        };
        // A quote that touches the keyword becomes part of it.
        let touching = rest.starts_with('"');
        let rest = skip_equals(rest);
        if touching || rest.is_empty() {
            return Err(Malformed);
        }
        Ok(Some(Self { keyword: keyword.to_ascii_lowercase(), rest }))
    }

    /// The arguments, up to a comment: separated by blanks, in single or double quotes where they
    /// hold some, with `\` before a quote, a backslash or (outside quotes) a space.
    pub(super) fn arguments(&self) -> Result<Vec<String>, Malformed> {
        let mut arguments = Vec::new();
        let mut rest = self.rest.trim_start_matches([' ', '\t']);
        while !rest.is_empty() && !rest.starts_with('#') {
            let (argument, after) = argument(rest)?;
            arguments.push(argument);
            rest = after.trim_start_matches([' ', '\t']);
        }
        Ok(arguments)
    }

    /// The words of a `Match` line up to a comment. Here `=` separates words as well, and only
    /// double quotes hold one together.
    pub(super) fn criteria(&self) -> Result<Vec<&'a str>, Malformed> {
        let mut words = Vec::new();
        let mut rest = self.rest.trim_start_matches([' ', '\t']);
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or(Malformed)?,
                None => rest.split_at(rest.find([' ', '\t', '=']).unwrap_or(rest.len())),
            };
            words.push(word);
            rest = skip_equals(after);
        }
        Ok(words)
    }
}

/// Skips blanks with at most one `=` among them.
fn skip_equals(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '\t', '\r']);
    text.strip_prefix('=').unwrap_or(text).trim_start_matches([' ', '\t', '\r'])
}

/// The first argument of a text that starts with one, and the text after it.
fn argument(text: &str) -> Result<(String, &str), Malformed> {
    let mut argument = String::new();
    let mut quote = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match (character, quote) {
            ('\\', _) => {
                let escaped = next.filter(|next| {
                    matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ')
                });
                argument.push(escaped.unwrap_or('\\'));
                if escaped.is_some() {
                    characters.next();
                }
            }
            (' ' | '\t', None) => return Ok((argument, &text[at..])),
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            _ => argument.push(character),
        }
    }
    if quote.is_some() { Err(Malformed) } else { Ok((argument, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(line: &str) -> (String, Vec<String>) {
        let line = Line::parse(line).unwrap().unwrap();
        let arguments = line.arguments().unwrap();
        (line.keyword, arguments)
    }

    #[test]
    fn keyword_and_arguments_are_found_in_every_spelling() {
        for line in [
            "PermitRootLogin yes",
            "  permitrootlogin\tyes  \r",
            "PERMITROOTLOGIN=yes",
            "PermitRootLogin = yes # really",
            "PermitRootLogin \"yes\"",
            "\"PermitRootLogin\" 'yes'",
        ] {
            assert_eq!(taken(line), ("permitrootlogin".into(), vec!["yes".into()]), "{line}");
        }
        let users = taken(r#"AllowUsers root "a b" c\ d e\\f"#).1;
        assert_eq!(users, ["root", "a b", "c d", r"e\f"]);
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for line in ["", "   ", "# PermitRootLogin no", "\t#"] {
            assert_eq!(Line::parse(line), Ok(None));
        }
    }

    #[test]
    fn what_sshd_refuses_is_malformed() {
        for line in
            ["PermitRootLogin", "PermitRootLogin=", "PermitRootLogin  ", "PermitRootLogin\"yes\""]
        {
            assert_eq!(Line::parse(line), Err(Malformed), "{line}");
        }
        let open = Line::parse("AllowUsers \"root").unwrap().unwrap();
        assert_eq!(open.arguments(), Err(Malformed));
    }

    #[test]
    fn match_lines_are_split_at_equals_signs_too() {
        let line = Line::parse("Match User=root,admin Address \"10.0.0.0/8\" # why").unwrap();
        let words = line.unwrap().criteria().unwrap();
        assert_eq!(words, ["User", "root,admin", "Address", "10.0.0.0/8"]);
    }

    proptest! {
        #[test]
        fn any_line_is_taken_apart_without_panic(line in "[^\n]*") {
            if let Ok(Some(line)) = Line::parse(&line) {
                let _ = (line.arguments(), line.criteria());
            }
        }
    }
}
