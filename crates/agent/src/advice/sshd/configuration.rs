//! sshd's configuration: the files read in sshd's order, and what is in effect for a login.

use super::super::glob::expand;
use super::super::{Files, Unreadable, passwd, text};
use super::condition::{Condition, Open, Truth, covers_group, covers_root};
use super::line::{Line, Malformed};
use super::settings::{RootLogin, Setting};
use std::collections::BTreeSet;

/// How deep files may include each other (sshd's own bound).
const DEEPEST: usize = 16;
/// How many lines are read before the configuration is called endless.
const MOST_LINES: usize = 100_000;

/// The part of sshd's configuration that concerns root and passwords.
#[derive(Debug)]
pub struct Configuration {
    /// What stands before and outside of `Match` blocks.
    global: Vec<Setting>,
    /// What stands in blocks that a login of root can meet, with what must hold for it.
    blocks: Vec<(Vec<Open>, Setting)>,
    /// Root's groups; `None` when they cannot be told.
    groups: Option<Vec<String>>,
}

/// The configuration could not be read to the end, or sshd would refuse it.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// A file could not be read.
    #[error("{path} could not be read")]
    Unreadable {
        /// The file, or the pattern of an `Include`.
        path: String,
        /// Why not.
        source: Unreadable,
    },
    /// There is no such file.
    #[error("{0} is absent")]
    Absent(String),
    /// A line that sshd would refuse, or of a version that is not known here.
    #[error("{path}, line {line} is not understood")]
    NotUnderstood {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// Files include each other deeper than sshd allows, or have too many lines.
    #[error("files include each other without end")]
    Endless,
}

impl Configuration {
    /// Reads the file at `path` and everything that it includes.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or sshd would refuse the configuration.
    pub fn read(files: &dyn Files, path: &str) -> Result<Self, Unknown> {
        let groups = passwd::root_groups(files);
        let configuration = Self { global: Vec::new(), blocks: Vec::new(), groups };
        let mut reader = Reader { files, lines: 0, configuration };
        reader.file(path, 0, None)?;
        Ok(reader.configuration)
    }

    /// Everything that only the login decides, in the settings that are kept.
    pub fn open(&self) -> BTreeSet<Open> {
        let users = self.settings().flat_map(|setting| match setting {
            Setting::AllowUsers(patterns) | Setting::DenyUsers(patterns) => {
                patterns.iter().map(|pattern| covers_root(pattern)).collect()
            }
            Setting::AllowGroups(patterns) | Setting::DenyGroups(patterns) => {
                patterns.iter().map(|pattern| self.covers_group(pattern)).collect()
            }
            _ => Vec::new(),
        });
        let users = users.filter_map(|truth| match truth {
            Truth::Open(open) => Some(open),
            Truth::Yes | Truth::No => None,
        });
        self.blocks.iter().flat_map(|(open, _)| open.iter().cloned()).chain(users).collect()
    }

    /// What is in effect for a login for which exactly those of [`Self::open`] hold that `holds`
    /// says.
    ///
    /// For each keyword the first value in a block that the login meets counts, else the first
    /// outside of blocks. Lists of users and groups add up, within blocks and outside, and those
    /// in blocks replace the others.
    pub fn effective(&self, holds: &dyn Fn(&Open) -> bool) -> Effective {
        let met = self.blocks.iter().filter(|(open, _)| open.iter().all(holds));
        let block = Values::of(met.map(|(_, setting)| setting));
        let global = Values::of(self.global.iter());
        let mut methods = block.methods.or(global.methods).unwrap_or_default();
        methods.retain(|list| list != "any");
        Effective {
            root_login: block.root_login.or(global.root_login).unwrap_or(RootLogin::KeysOnly),
            password: block.password.or(global.password).unwrap_or(true),
            keyboard_interactive: block
                .keyboard_interactive
                .or(global.keyboard_interactive)
                .unwrap_or(true),
            public_key: block.public_key.or(global.public_key).unwrap_or(true),
            pam: global.pam.unwrap_or(false),
            methods,
            allow_users: either(block.allow_users, global.allow_users),
            deny_users: either(block.deny_users, global.deny_users),
            allow_groups: either(block.allow_groups, global.allow_groups),
            deny_groups: either(block.deny_groups, global.deny_groups),
        }
    }

    pub(super) fn covers_group(&self, pattern: &str) -> Truth {
        covers_group(pattern, self.groups.as_deref())
    }

    fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.global.iter().chain(self.blocks.iter().map(|(_, setting)| setting))
    }
}

/// What is in effect for one login of root: the values as `sshd -T` prints them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// `PermitRootLogin`
    pub root_login: RootLogin,
    /// `PasswordAuthentication`
    pub password: bool,
    /// `KbdInteractiveAuthentication`
    pub keyboard_interactive: bool,
    /// `PubkeyAuthentication`
    pub public_key: bool,
    /// `UsePAM`
    pub pam: bool,
    /// `AuthenticationMethods`; empty when not given, and for `any`.
    pub methods: Vec<String>,
    /// `AllowUsers`
    pub allow_users: Vec<String>,
    /// `DenyUsers`
    pub deny_users: Vec<String>,
    /// `AllowGroups`
    pub allow_groups: Vec<String>,
    /// `DenyGroups`
    pub deny_groups: Vec<String>,
}

/// The first value of each keyword, and the lists added up.
#[derive(Default)]
struct Values {
    root_login: Option<RootLogin>,
    password: Option<bool>,
    keyboard_interactive: Option<bool>,
    public_key: Option<bool>,
    pam: Option<bool>,
    methods: Option<Vec<String>>,
    allow_users: Vec<String>,
    deny_users: Vec<String>,
    allow_groups: Vec<String>,
    deny_groups: Vec<String>,
}

impl Values {
    fn of<'a>(settings: impl Iterator<Item = &'a Setting>) -> Self {
        let mut values = Self::default();
        for setting in settings {
            match setting.clone() {
                Setting::RootLogin(value) => first(&mut values.root_login, value),
                Setting::Password(value) => first(&mut values.password, value),
                Setting::KeyboardInteractive(value) => {
                    first(&mut values.keyboard_interactive, value);
                }
                Setting::PublicKey(value) => first(&mut values.public_key, value),
                Setting::Pam(value) => first(&mut values.pam, value),
                Setting::Methods(value) => first(&mut values.methods, value),
                Setting::AllowUsers(more) => values.allow_users.extend(more),
                Setting::DenyUsers(more) => values.deny_users.extend(more),
                Setting::AllowGroups(more) => values.allow_groups.extend(more),
                Setting::DenyGroups(more) => values.deny_groups.extend(more),
            }
        }
        values
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

fn either(block: Vec<String>, global: Vec<String>) -> Vec<String> {
    if block.is_empty() { global } else { block }
}

struct Reader<'a> {
    files: &'a dyn Files,
    lines: usize,
    configuration: Configuration,
}

impl Reader<'_> {
    /// Reads a file; `block` is the condition of the block that includes it.
    fn file(&mut self, path: &str, depth: usize, block: Option<&Condition>) -> Result<(), Unknown> {
        if depth > DEEPEST {
            return Err(Unknown::Endless);
        }
        let content = text(self.files, path)
            .map_err(|source| Unknown::Unreadable { path: path.to_owned(), source })?
            .ok_or_else(|| Unknown::Absent(path.to_owned()))?;
        // A Match line holds until the next one or the end of its file.
        let mut current = block.cloned();
        for (index, line) in content.split('\n').enumerate() {
            self.lines += 1;
            if self.lines > MOST_LINES {
                return Err(Unknown::Endless);
            }
            let refused =
                |Malformed| Unknown::NotUnderstood { path: path.to_owned(), line: index + 1 };
            let Some(line) = Line::parse(line).map_err(refused)? else { continue };
            match line.keyword.as_str() {
                "match" => {
                    let own = self.condition(&line).map_err(refused)?;
                    current = Some(match block {
                        Some(outer) => own.and(outer),
                        None => own,
                    });
                }
                "include" => {
                    let patterns = line.arguments().map_err(refused)?;
                    self.include(&patterns, depth, current.as_ref())?;
                }
                _ => self.keep(&line, current.as_ref()).map_err(refused)?,
            }
        }
        Ok(())
    }

    fn condition(&self, line: &Line<'_>) -> Result<Condition, Malformed> {
        Condition::parse(&line.criteria()?, self.configuration.groups.as_deref())
    }

    /// Reads the files that match, in order. A pattern that matches none is no error.
    fn include(
        &mut self,
        patterns: &[String],
        depth: usize,
        block: Option<&Condition>,
    ) -> Result<(), Unknown> {
        for pattern in patterns {
            let pattern = match pattern.chars().next() {
                Some('/') => pattern.clone(),
                // sshd does not put a home directory in the place of `~`, so this finds nothing.
                Some('~') => continue,
                _ => format!("/etc/ssh/{pattern}"),
            };
            let paths = expand(self.files, &pattern)
                .map_err(|source| Unknown::Unreadable { path: pattern, source })?;
            for path in paths {
                self.file(&path, depth + 1, block)?;
            }
        }
        Ok(())
    }

    /// Keeps a setting where it counts. Its value is checked also in a block that root never
    /// meets, as sshd does.
    fn keep(&mut self, line: &Line<'_>, block: Option<&Condition>) -> Result<(), Malformed> {
        let Some(setting) = Setting::parse(line)? else { return Ok(()) };
        let Some(block) = block else {
            self.configuration.global.push(setting);
            return Ok(());
        };
        if matches!(setting, Setting::Pam(_)) {
            // Allowed outside of blocks only, where `Match all` counts as outside.
            if !block.all {
                return Err(Malformed);
            }
            self.configuration.global.push(setting);
        } else if !block.never {
            self.configuration.blocks.push((block.open.clone(), setting));
        }
        Ok(())
    }
}
