//! The lines of PAM's service files (pam.conf(5)). Pure: who reads which files is the callers'
//! business.

/// A line of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A module that is asked.
    Module(Module),
    /// Another stack in this place, for one task or for all.
    Include(Option<Task>, String),
}

/// One module of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// What it is asked for.
    pub(crate) task: Task,
    /// Its file's name, `pam_unix.so`.
    pub(crate) name: String,
    /// Its arguments, brackets taken off.
    pub(crate) arguments: Vec<String>,
}

/// A module's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Auth,
    Account,
    Password,
    Other,
}

/// The directories of services: the administrator's, then those of the distribution.
pub(crate) const DIRECTORIES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];

/// The lines of a service's file; what is none is left out.
pub(crate) fn entries(stack: &str) -> Vec<Entry> {
    let joined = stack.replace("\\\r\n", " ").replace("\\\n", " ");
    joined.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let words = words(line.split('#').next().unwrap_or_default());
    let mut words = words.into_iter();
    let first = words.next()?;
    if first == "@include" {
        return Some(Entry::Include(None, words.next()?));
    }
    // A leading dash only silences the log when the module is missing.
    let task = match first.trim_start_matches('-').to_ascii_lowercase().as_str() {
        "auth" => Task::Auth,
        "account" => Task::Account,
        "password" => Task::Password,
        _ => Task::Other,
    };
    let control = words.next()?.to_ascii_lowercase();
    let module = words.next()?;
    if control == "include" || control == "substack" {
        return Some(Entry::Include(Some(task), module));
    }
    let name = module.rsplit('/').next().unwrap_or(&module).to_owned();
    Some(Entry::Module(Module { task, name, arguments: words.collect() }))
}

/// Words between blanks; brackets hold blanks and are taken off.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn brackets_comments_dashes_and_long_lines_are_read_as_pam_reads_them() {
        let stack = "# nothing\n-Password [success=1 default=ignore]\t/lib/pam_unix.so \\\n a [b c] # d\n\
                     auth SUBSTACK other\n@include common\nauth\n";
        let arguments = vec!["a".to_owned(), "b c".to_owned()];
        let module = Module { task: Task::Password, name: "pam_unix.so".into(), arguments };
        assert_eq!(
            entries(stack),
            [
                Entry::Module(module),
                Entry::Include(Some(Task::Auth), "other".into()),
                Entry::Include(None, "common".into()),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_stack_is_read_without_panic(stack in "(password|@include| |\\[|\\]|\\\\|\n|\\PC){0,60}") {
            entries(&stack);
        }
    }
}
