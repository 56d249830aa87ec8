//! Under which names this process is found.

use super::sockets::Addresses;
use crate::config::{Config, Role};

/// Names of the deployment's certificate: the API's, and those under which agents come, be it to
/// enrol.
pub(super) fn certificate_names(config: &Config) -> Vec<String> {
    let mut names = config.api.names.clone();
    let agents = config.agents.addresses.iter().chain(&config.agents.enrolment);
    for (host, _) in agents.filter_map(|address| address.rsplit_once(':')) {
        let host = host.trim_matches(['[', ']']).to_owned();
        if !names.contains(&host) {
            names.push(host);
        }
    }
    names
}

/// What agents are told of gateways and of where machines enrol, unless the operator says
/// otherwise: the first name and the port.
pub(super) fn agents_addresses(
    config: &Config,
    addresses: &Addresses,
) -> (Vec<String>, Vec<String>) {
    let here = vec![host_and_port(&config.api.names, addresses.agents.port())];
    let or_here = |given: &[String]| match given {
        [] => here.clone(),
        given => given.to_vec(),
    };
    let enrolment = match config.has(Role::Gateway) {
        // Where agents connect, they enrol, too: none of its own.
        true => config.agents.enrolment.clone(),
        false => or_here(&config.agents.enrolment),
    };
    (or_here(&config.agents.addresses), enrolment)
}

/// The first name, in brackets where it is an IPv6 address, and the port.
pub(super) fn host_and_port(names: &[String], port: u16) -> String {
    let name = names.first().map_or("localhost", String::as_str);
    if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_stands_for_every_address_that_machines_are_told() {
        let mut config = Config::default();
        config.api.names = vec!["api.example".to_owned()];
        config.agents.addresses = ["gw.example:8444", "[fd00::1]:8444"].map(str::to_owned).into();
        config.agents.enrolment = ["enrol.example:8445", "gw.example:1"].map(str::to_owned).into();
        let expected = ["api.example", "gw.example", "fd00::1", "enrol.example"];
        assert_eq!(certificate_names(&config), expected);
    }
}
