//! `Match` lines, decided for root as far as they do not depend on the login.

use super::super::pattern::{ListMatch, list_matches, matches};
use super::line::Malformed;

/// Something that the configuration alone does not decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open {
    /// Depends on the connection: criterion and pattern, as `address 10.0.0.0/8`; `user@` for the
    /// host part of an `AllowUsers` or `DenyUsers` pattern.
    Peer(String),
    /// Depends on root's groups, which could not be told.
    Groups(String),
}

/// What is known of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// Holds for every login of root.
    Yes,
    /// Holds for none.
    No,
    /// Holds for those for which this holds.
    Open(Open),
}

/// The condition of a block: all of its criteria together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// No login of root meets it.
    pub(super) never: bool,
    /// It is made of `all` only, so the block may hold keywords that other blocks may not.
    pub(super) all: bool,
    /// What must hold besides.
    pub(super) open: Vec<Open>,
}

impl Condition {
    /// The condition of one `Match` line.
    pub(super) fn parse(criteria: &[&str], groups: Option<&[String]>) -> Result<Self, Malformed> {
        if let [all] = criteria
            && all.eq_ignore_ascii_case("all")
        {
            return Ok(Self { all: true, ..Self::default() });
        }
        let mut condition = Self::default();
        let mut words = criteria.iter();
        while let Some(criterion) = words.next() {
            let criterion = criterion.to_ascii_lowercase();
            if criterion == "invalid-user" {
                condition.never = true;
                continue;
            }
            let pattern = words.next().filter(|pattern| !pattern.is_empty()).ok_or(Malformed)?;
            condition.require(truth(&criterion, pattern, groups)?);
        }
        if criteria.is_empty() { Err(Malformed) } else { Ok(condition) }
    }

    /// Both conditions together: a `Match` line in a file that another block includes.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.never |= other.never;
        self.all &= other.all;
        self.open.extend(other.open.iter().cloned());
        self
    }

    fn require(&mut self, truth: Truth) {
        match truth {
            Truth::Yes => {}
            Truth::No => self.never = true,
            Truth::Open(open) => self.open.push(open),
        }
    }
}

/// Whether a pattern of `AllowUsers` or `DenyUsers` covers root.
pub(super) fn covers_root(pattern: &str) -> Truth {
    match pattern.split_once('@') {
        None if matches("root", pattern) => Truth::Yes,
        Some((user, host)) if matches("root", user) => peer("user@", host),
        _ => Truth::No,
    }
}

/// Whether a pattern of `AllowGroups` or `DenyGroups` covers one of root's groups.
pub(super) fn covers_group(pattern: &str, groups: Option<&[String]>) -> Truth {
    match groups {
        Some(groups) if groups.iter().any(|group| matches(group, pattern)) => Truth::Yes,
        Some(_) => Truth::No,
        None => Truth::Open(Open::Groups(pattern.to_owned())),
    }
}

fn truth(criterion: &str, pattern: &str, groups: Option<&[String]>) -> Result<Truth, Malformed> {
    Ok(match criterion {
        "user" if list_matches("root", pattern) == ListMatch::Yes => Truth::Yes,
        "user" => Truth::No,
        "group" => groups.map_or_else(
            || Truth::Open(Open::Groups(pattern.to_owned())),
            |groups| group_list(groups, pattern),
        ),
        "host" | "address" | "localaddress" => peer(criterion, pattern),
        "localport" | "rdomain" => Truth::Open(Open::Peer(format!("{criterion} {pattern}"))),
        // Another program's criterion, or one of a version that this agent does not know.
        _ => return Err(Malformed),
    })
}

/// One group that a negated pattern covers decides against the list.
fn group_list(groups: &[String], list: &str) -> Truth {
    let of_groups: Vec<_> = groups.iter().map(|group| list_matches(group, list)).collect();
    let holds = !of_groups.contains(&ListMatch::Negated) && of_groups.contains(&ListMatch::Yes);
    if holds { Truth::Yes } else { Truth::No }
}

/// A list that only negates matches nobody, `*` alone everybody; the rest is the connection's.
fn peer(criterion: &str, list: &str) -> Truth {
    let (negated, wanted): (Vec<&str>, Vec<&str>) =
        list.split(',').partition(|part| part.starts_with('!'));
    if wanted.is_empty() {
        Truth::No
    } else if negated.is_empty() && wanted.contains(&"*") {
        Truth::Yes
    } else {
        Truth::Open(Open::Peer(format!("{criterion} {list}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(criteria: &[&str]) -> Condition {
        Condition::parse(criteria, Some(&["root".to_owned(), "wheel".to_owned()])).unwrap()
    }

    #[test]
    fn what_concerns_root_alone_is_decided() {
        let yes = Condition::default();
        assert_eq!(parsed(&["User", "root"]), yes);
        assert_eq!(parsed(&["user", "*,!git"]), yes);
        assert_eq!(parsed(&["Group", "wheel"]), yes);
        assert_eq!(parsed(&["Address", "*", "Host", "*"]), yes);
        for never in [["User", "*,!root"], ["User", "git"], ["Group", "*,!wheel"]] {
            assert!(parsed(&never).never, "{never:?}");
        }
        assert!(parsed(&["all"]).all);
        assert!(parsed(&["Address", "!10.0.0.1"]).never);
    }

    #[test]
    fn what_concerns_the_connection_stays_open() {
        let open = parsed(&["User", "root", "Address", "10.0.0.0/8"]).open;
        assert_eq!(open, [Open::Peer("address 10.0.0.0/8".into())]);
        let groups = Condition::parse(&["Group", "wheel"], None).unwrap().open;
        assert_eq!(groups, [Open::Groups("wheel".into())]);
    }

    #[test]
    fn what_sshd_refuses_is_malformed() {
        for criteria in [&[][..], &["User"], &["all", "User", "root"], &["final", "x"]] {
            assert_eq!(Condition::parse(criteria, None), Err(Malformed), "{criteria:?}");
        }
    }
}
