use std::net::IpAddr;

use opencpm_domain::{Condition, Refusal, Span};
use opencpm_protocol::node::NodeToken as Token;

use super::{Administrator, MadeToken, write};
use crate::authentic::{check_node, node_mac, node_token_mac};
use crate::port::{Change, Generator};
use crate::refusal::store_refusal;
use crate::role::{ApiRole, Settings};
use crate::row::{Node, NodeId, NodeToken};

/// The most names that a node's certificate carries.
const MOST_NAMES: usize = 16;

/// A token to be made for nodes without the API role.
#[derive(Clone, Debug)]
pub struct NewNodeToken {
    /// What the nodes' certificates carry; the hosts of the gateways' addresses where empty.
    pub names: Vec<String>,
    /// How many nodes may join with it, at least 1.
    pub uses: u32,
    /// How long it is good for.
    pub lifetime: Span,
}

/// Makes a node token.
pub async fn create_node_token(
    role: &ApiRole,
    by: Administrator,
    new: NewNodeToken,
) -> Result<MadeToken, Refusal> {
    let names = if new.names.is_empty() { gateway_hosts(&role.settings) } else { new.names };
    check_node_names(&role.settings, &names)
        .map_err(|why| Refusal::new(Condition::ParameterInvalid, why))?;
    let trust = role.trust.now();
    let addresses = role.settings.enrolment_addresses().to_vec();
    let mut rng = Generator(&*role.random);
    let token = Token::generate(&mut rng, trust.root, trust.deployment(), addresses);
    let token = token.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no token can be made");
        Refusal::new(Condition::ServerBug, "the addresses of this node do not fit a token")
    })?;
    let expires = role.clock.now() + new.lifetime;
    let hash = token.secret_hash();
    let mut row = NodeToken { hash, names, uses_left: new.uses, expires, mac: [0; 32] };
    row.mac = node_token_mac(&*role.keys, &row);
    let subject = format!("node token for {}", row.names.join(", "));
    write(role, by, "CreateNodeToken", subject, Change::CreateNodeToken(row)).await?;
    Ok(MadeToken { token: token.to_secret_text(), expires })
}

/// All nodes without the API role, revoked ones included.
pub async fn describe_nodes(role: &ApiRole) -> Result<Vec<Node>, Refusal> {
    role.store.nodes(None).await.map_err(store_refusal)
}

/// From now on the node gets no certificate. Done again, it changes nothing.
pub async fn revoke_node(role: &ApiRole, by: Administrator, id: NodeId) -> Result<(), Refusal> {
    let subject = format!("node {id}");
    let found = role.store.nodes(Some(id)).await.map_err(store_refusal)?.pop();
    let missing = || Refusal::new(Condition::NotFound, format!("there is no {subject}"));
    let mut node = found.ok_or_else(missing)?;
    let forged = check_node(&*role.keys, &node).is_err();
    node.revoked = node.revoked.or(Some(role.clock.now()));
    // A forged row is switched off as it is, and never made authentic by this.
    if !forged {
        node.mac = node_mac(&*role.keys, &node);
    }
    write(role, by, "RevokeNode", subject, Change::ModifyNode(node)).await
}

/// Whether certificates of nodes may carry these names; the error says why not. The API's own
/// names are not among them, nor those under which machines enrol: with a stolen node's key,
/// somebody could pose as the API and read the passwords and tokens that are sent to it.
pub(crate) fn check_node_names(settings: &Settings, names: &[String]) -> Result<(), String> {
    if !(1..=MOST_NAMES).contains(&names.len()) {
        return Err(format!("1 to {MOST_NAMES} names are expected for the nodes' certificates"));
    }
    for name in names {
        if !is_host(name) {
            return Err(format!("{name:?} is neither a host name nor an address"));
        }
        let own = settings.api_names.iter().map(|own| ("api.names", own.as_str()));
        let enrolment = settings.enrolment.iter().map(|at| ("agents.enrolment", host(at)));
        if let Some((key, _)) = own.chain(enrolment).find(|(_, own)| stands_for(own, name)) {
            return Err(format!(
                "{name} is a name of the API ({key}): a node that is stolen could pose as the \
                 API; give the gateways a name of their own"
            ));
        }
    }
    Ok(())
}

/// The hosts under which agents look for gateways.
fn gateway_hosts(settings: &Settings) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for address in &settings.gateways {
        let host = host(address).to_owned();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The host of `host:port`, without brackets.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// Whether a name of a certificate stands for this host. An address can be written in several
/// ways; a wildcard is one label (RFC 6125, section 6.4.3).
fn stands_for(own: &str, name: &str) -> bool {
    match (own.parse::<IpAddr>(), name.parse::<IpAddr>()) {
        (Ok(own), Ok(address)) => own.to_canonical() == address.to_canonical(),
        (Err(_), Err(_)) => match (own.strip_prefix("*."), name.split_once('.')) {
            (Some(domain), Some((_, rest))) => domain.eq_ignore_ascii_case(rest),
            _ => own.eq_ignore_ascii_case(name),
        },
        _ => false,
    }
}

/// No wildcard: one node would stand for every host of a domain.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let ends = !label.starts_with('-') && !label.ends_with('-');
        let letters = label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        (1..=63).contains(&label.len()) && ends && letters
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let gateways = ["gw.example:1", "[::1]:1", "gw.example:2"].map(str::to_owned);
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect();
        let api_names = names(&["api.example", "127.0.0.1", "fd00::a", "*.Api.example"]);
        let enrolment = names(&["enrol.example:8445", "[fd00::e]:8445"]);
        Settings { gateways: gateways.into(), api_names, enrolment, ..Settings::default() }
    }

    #[test]
    fn unless_told_otherwise_nodes_carry_the_hosts_under_which_agents_look_for_them() {
        assert_eq!(gateway_hosts(&settings()), ["gw.example", "::1"]);
    }

    #[test]
    fn no_node_can_carry_a_name_of_the_api_a_wildcard_or_what_is_no_name() {
        let check = |name: &str| check_node_names(&settings(), &[name.to_owned()]);
        for good in
            ["gw1.example", "10.0.0.1", "fd00::1", "localhost", "a.b.api.example", "xapi.example"]
        {
            check(good).unwrap();
        }
        for bad in ["*.example", "", "a b", "-a", "a..b"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        // However it is written.
        for bad in [
            "api.example",
            "API.Example",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "FD00:0::a",
            "gw1.api.EXAMPLE",
            "Enrol.example",
            "fd00:0::e",
        ] {
            assert!(check(bad).unwrap_err().contains("is a name of the API"), "{bad}");
        }
        assert!(check_node_names(&settings(), &[]).is_err());
    }
}
