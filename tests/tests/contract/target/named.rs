//! A server that the environment names; README.md says with which variables.

use std::collections::BTreeMap;

use super::{Key, Target};

const PREFIX: &str = "OPENCPM_CONTRACT_";

/// `None` without `OPENCPM_CONTRACT_URL`.
pub(super) fn find() -> Option<Target> {
    let url = std::env::var(format!("{PREFIX}URL")).ok()?;
    let authority = url.strip_prefix("http://").expect("OPENCPM_CONTRACT_URL: http://host:port");
    let (mut keys, mut names, mut alive) = (BTreeMap::new(), BTreeMap::new(), String::new());
    for (variable, value) in std::env::vars() {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        let name = name.to_ascii_lowercase().replace('_', "-");
        match (name.as_str(), name.strip_prefix("key-")) {
            ("url", _) => {}
            ("alive", _) => alive = value,
            (_, Some(key)) => drop(keys.insert(key.to_owned(), read_key(&value))),
            _ => drop(names.insert(name, value)),
        }
    }
    let mut target = Target::new(authority.trim_end_matches('/'), keys, names);
    alive.split(',').filter(|id| !id.is_empty()).for_each(|id| target.add_alive(id));
    Some(target)
}

/// `id:secret`, or `id:secret:token`.
fn read_key(text: &str) -> Key {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    let [secret_id, secret_key] = [(); 2].map(|()| parts.next().expect("a key is id:secret"));
    Key { secret_id, secret_key, token: parts.next(), authority: None }
}
