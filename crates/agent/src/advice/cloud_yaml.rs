//! As much of YAML as cloud-init's configurations need to be judged by their lines.
//!
//! Block style with plain or quoted keys is read. Whatever could hide a meaning (flow style,
//! anchors, tags, escapes, templates) is not interpreted: the caller is told that it is there.

/// A top-level key with everything below it. Comment lines and empty lines are left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    pub(super) key: &'a str,
    /// What stands on the key's own line, without quotes.
    pub(super) value: &'a str,
    /// The lines below, with their indentation.
    pub(super) body: Vec<&'a str>,
}

/// An entry of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// One word or text.
    Text(&'a str),
    /// Keys and their values.
    Map(Vec<(&'a str, &'a str)>),
}

/// The text is not in the form that is read here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotPlain;

/// The top-level keys of a document.
pub(super) fn sections(text: &str) -> Result<Vec<Section<'_>>, NotPlain> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in lines(text) {
        if line == "---" && sections.is_empty() {
            continue;
        }
        if line.starts_with([' ', '-']) && line != "---" {
            sections.last_mut().ok_or(NotPlain)?.body.push(line);
        } else {
            let (key, value) = pair(line).ok_or(NotPlain)?;
            sections.push(Section { key, value, body: Vec::new() });
        }
    }
    Ok(sections)
}

impl<'a> Section<'a> {
    /// Whether the section holds something that is not interpreted here.
    pub(super) fn is_obscure(&self) -> bool {
        is_obscure(self.value) || self.body.iter().any(|line| is_obscure(line))
    }

    /// Whether `word` stands anywhere in it, not as part of a longer word.
    pub(super) fn has_word(&self, word: &str) -> bool {
        has_word(self.value, word) || self.body.iter().any(|line| has_word(line, word))
    }

    /// Whether `part` stands anywhere in it.
    pub(super) fn mentions(&self, part: &str) -> bool {
        self.value.contains(part) || self.body.iter().any(|line| line.contains(part))
    }

    /// The section as a list, also `[a, b]` on the key's line.
    pub(super) fn items(&self) -> Result<Vec<Item<'a>>, NotPlain> {
        if !self.value.is_empty() {
            return inline_items(self.value);
        }
        let Some(first) = self.body.first() else { return Ok(Vec::new()) };
        let dash = indent(first);
        let mut items: Vec<Vec<&'a str>> = Vec::new();
        for line in &self.body {
            match line[indent(line)..].strip_prefix('-') {
                Some(rest) if indent(line) == dash => items.push(vec![rest]),
                _ if indent(line) > dash => items.last_mut().ok_or(NotPlain)?.push(line),
                _ => return Err(NotPlain),
            }
        }
        items.iter().map(|lines| item(lines)).collect()
    }

    /// The keys and values of the map below `path`, one key a level.
    pub(super) fn map(&self, path: &[&str]) -> Option<Vec<(&'a str, &'a str)>> {
        let mut lines = self.body.clone();
        for key in path {
            let at = lines.iter().position(|line| pair(line.trim_start()) == Some((key, "")))?;
            let level = indent(lines[at]);
            lines =
                lines[at + 1..].iter().copied().take_while(|line| indent(line) > level).collect();
        }
        Some(first_level(&lines))
    }
}

/// The lines that are neither empty nor comments.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'))
}

/// An entry from the text behind its dash and the lines below.
fn item<'a>(lines: &[&'a str]) -> Result<Item<'a>, NotPlain> {
    let (first, below) = lines.split_first().ok_or(NotPlain)?;
    let first = first.trim_start();
    if first.starts_with(['{', '[', '-']) {
        return Err(NotPlain);
    }
    let mut map = first_level(below);
    match pair(first) {
        Some(own) => map.insert(0, own),
        None if first.is_empty() => {}
        None if below.is_empty() => return Ok(Item::Text(bare(first))),
        None => return Err(NotPlain),
    }
    Ok(Item::Map(map))
}

fn inline_items(value: &str) -> Result<Vec<Item<'_>>, NotPlain> {
    if value.contains(['{', '|', '>']) {
        return Err(NotPlain);
    }
    let list = value.strip_prefix('[').map_or(Some(value), |rest| rest.strip_suffix(']'));
    let words = list.ok_or(NotPlain)?.split(',').map(|word| bare(word.trim()));
    Ok(words.filter(|word| !word.is_empty()).map(Item::Text).collect())
}

/// The pairs at the least indentation.
fn first_level<'a>(lines: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let level = lines.iter().map(|line| indent(line)).min().unwrap_or(0);
    lines
        .iter()
        .filter(|line| indent(line) == level)
        .filter_map(|line| pair(line.trim_start()))
        .collect()
}

/// `key: value` with a plain or quoted key; the value without comment and quotes.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = match line.split_once(": ") {
        Some(pair) => pair,
        None => (line.split(" #").next()?.trim_end().strip_suffix(':')?, ""),
    };
    let key = bare(key.trim_end());
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(is_key)).then(|| (key, bare(value.trim())))
}

/// A value without its comment and its quotes.
fn bare(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return inner.split(quote).next().unwrap_or_default();
        }
    }
    if value.starts_with('#') {
        return "";
    }
    value.split(" #").next().unwrap_or_default().trim_end()
}

fn is_obscure(text: &str) -> bool {
    const MARKS: [&str; 8] = ["\\", "{{", "{%", "!!", " &", " *", "<<", "\t"];
    MARKS.iter().any(|mark| text.contains(mark)) || text.starts_with(['&', '*', '!'])
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).any(|part| part == word)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn top_level_keys_hold_what_is_indented_below_them() {
        let text = "---\n# comment\nusers:\n  - default\n  - name: 'root'\n    lock_passwd: false # why\n\nhostname: \"a\"\n";
        let sections = sections(text).unwrap();
        assert_eq!((sections[1].key, sections[1].value), ("hostname", "a"));
        assert_eq!(
            sections[0].items().unwrap(),
            [Item::Text("default"), Item::Map(vec![("name", "root"), ("lock_passwd", "false")]),]
        );
    }

    #[test]
    fn a_list_may_stand_at_its_keys_indentation_or_on_its_line() {
        let text = "users:\n- default\nmore: [default, 'root']\nnone: []\n";
        let sections = sections(text).unwrap();
        assert_eq!(sections[0].items().unwrap(), [Item::Text("default")]);
        assert_eq!(sections[1].items().unwrap(), [Item::Text("default"), Item::Text("root")]);
        assert_eq!(sections[2].items().unwrap(), []);
    }

    #[test]
    fn a_map_is_found_below_its_keys() {
        let text = "system_info:\n  distro: debian\n  default_user:\n    name: root\n    groups: [adm]\n  paths:\n    name: x\n";
        let sections = sections(text).unwrap();
        let user = sections[0].map(&["default_user"]).unwrap();
        assert_eq!(user, [("name", "root"), ("groups", "[adm]")]);
    }

    #[test]
    fn what_is_not_read_is_told() {
        assert_eq!(sections("{users: [root]}\n"), Err(NotPlain));
        assert_eq!(sections("a: b\n---\nc: d\n"), Err(NotPlain));
        let flow = sections("users:\n  - {name: root}\n").unwrap();
        assert_eq!(flow[0].items(), Err(NotPlain));
        assert!(sections("a: *b\n").unwrap()[0].is_obscure());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "([ a-z:\\-#'\"\\[{\n]|.)*") {
            for section in sections(&text).unwrap_or_default() {
                let _ = (section.items(), section.map(&["a"]), section.is_obscure());
            }
        }
    }
}
