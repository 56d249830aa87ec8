//! The keywords that decide whether root may log in with a password.

use super::line::{Line, Malformed};

/// One keyword's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    RootLogin(RootLogin),
    Password(bool),
    KeyboardInteractive(bool),
    PublicKey(bool),
    Pam(bool),
    Methods(Vec<String>),
    AllowUsers(Vec<String>),
    DenyUsers(Vec<String>),
    AllowGroups(Vec<String>),
    DenyGroups(Vec<String>),
}

/// `PermitRootLogin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootLogin {
    /// `yes`
    Yes,
    /// `no`
    No,
    /// `prohibit-password`, also written `without-password`
    KeysOnly,
    /// `forced-commands-only`
    ForcedCommandsOnly,
}

impl Setting {
    /// The line's setting; `None` for a keyword that does not matter here.
    pub(super) fn parse(line: &Line<'_>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match line.keyword.as_str() {
            "permitrootlogin" => Self::RootLogin(RootLogin::parse(&one(line)?)?),
            "passwordauthentication" => Self::Password(flag(line)?),
            // The second and third are older names of the first.
            "kbdinteractiveauthentication"
            | "challengeresponseauthentication"
            | "skeyauthentication" => Self::KeyboardInteractive(flag(line)?),
            "pubkeyauthentication" => Self::PublicKey(flag(line)?),
            "usepam" => Self::Pam(flag(line)?),
            "authenticationmethods" => Self::Methods(methods(line)?),
            "allowusers" => Self::AllowUsers(list(line)?),
            "denyusers" => Self::DenyUsers(list(line)?),
            "allowgroups" => Self::AllowGroups(list(line)?),
            "denygroups" => Self::DenyGroups(list(line)?),
            _ => return Ok(None),
        }))
    }
}

impl RootLogin {
    fn parse(value: &str) -> Result<Self, Malformed> {
        match value.to_ascii_lowercase().as_str() {
            "yes" => Ok(Self::Yes),
            "no" => Ok(Self::No),
            "prohibit-password" | "without-password" => Ok(Self::KeysOnly),
            "forced-commands-only" => Ok(Self::ForcedCommandsOnly),
            _ => Err(Malformed),
        }
    }
}

fn one(line: &Line<'_>) -> Result<String, Malformed> {
    let [value] = <[String; 1]>::try_from(line.arguments()?).map_err(|_| Malformed)?;
    Ok(value)
}

fn flag(line: &Line<'_>) -> Result<bool, Malformed> {
    match one(line)?.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Malformed),
    }
}

fn list(line: &Line<'_>) -> Result<Vec<String>, Malformed> {
    let patterns = line.arguments()?;
    if patterns.iter().any(String::is_empty) { Err(Malformed) } else { Ok(patterns) }
}

/// Lists of methods; `any` stands alone.
fn methods(line: &Line<'_>) -> Result<Vec<String>, Malformed> {
    let lists = list(line)?;
    let any = lists.iter().any(|list| list == "any");
    if lists.is_empty() || (any && lists.len() > 1) { Err(Malformed) } else { Ok(lists) }
}
