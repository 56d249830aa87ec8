//! hosts(5) and resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr};

use opencpm_domain::Span;

/// What resolv.conf asks for, with its defaults and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    /// At most three; the machine itself when none is named.
    pub(super) servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
    pub(super) timeout: Span,
    pub(super) attempts: u32,
    pub(super) rotate: bool,
}

/// As the C library limits them (resolv.conf(5)).
const MOST_SERVERS: usize = 3;
const MOST_NDOTS: usize = 15;
const LONGEST_TIMEOUT: u64 = 30;
const MOST_ATTEMPTS: u32 = 5;
/// The C library has no limit any more; every entry may cost a time-out.
const MOST_SEARCHES: usize = 6;

impl Configuration {
    /// Unknown lines and options are skipped, as the C library does. A name server with a zone
    /// (`fe80::1%eth0`) is skipped too.
    pub(super) fn parse(text: &str) -> Self {
        let mut found = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Span::from_secs(5),
            attempts: 2,
            rotate: false,
        };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    found.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                // The last of them counts.
                Some("search") => found.search = words.map(str::to_owned).collect(),
                Some("domain") => found.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|option| found.option(option)),
                _ => {}
            }
        }
        found.servers.truncate(MOST_SERVERS);
        found.search.truncate(MOST_SEARCHES);
        if found.servers.is_empty() {
            found.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        found
    }

    fn option(&mut self, option: &str) {
        match option.split_once(':') {
            None if option == "rotate" => self.rotate = true,
            Some(("ndots", n)) => self.ndots = n.parse().unwrap_or(self.ndots).min(MOST_NDOTS),
            Some(("timeout", n)) => {
                let secs = n.parse().unwrap_or(self.timeout.as_secs());
                self.timeout = Span::from_secs(secs.clamp(1, LONGEST_TIMEOUT));
            }
            Some(("attempts", n)) => {
                self.attempts = n.parse().unwrap_or(self.attempts).clamp(1, MOST_ATTEMPTS);
            }
            _ => {}
        }
    }

    /// The full names to ask for, in order.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(full) = host.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let searched = self.search.iter().map(|domain| match domain.trim_matches('.') {
            "" => host.to_owned(),
            domain => format!("{host}.{domain}"),
        });
        let itself = std::iter::once(host.to_owned());
        let dots = host.bytes().filter(|&b| b == b'.').count();
        let mut names: Vec<_> = if dots >= self.ndots {
            itself.chain(searched).collect()
        } else {
            searched.chain(itself).collect()
        };
        names.dedup();
        names
    }
}

/// The addresses that a hosts file gives a name, IPv4 first.
pub(super) fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next().and_then(|word| word.parse().ok());
        if let Some(address) = address
            && words.any(|name| name.eq_ignore_ascii_case(host))
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_hosts_file_are_found_in_any_case_and_column() {
        let hosts = "::1 both\n127.0.0.1 localhost both # also\n10.0.0.1 a.example Gate alias\n#10.0.0.2 gate\nbad gate\n";
        assert_eq!(in_hosts(hosts, "gate"), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(hosts, "ALIAS."), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        let both: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(in_hosts(hosts, "both"), both);
        assert!(in_hosts(hosts, "also").is_empty());
    }

    #[test]
    fn options_have_their_defaults_and_limits() {
        let plain = Configuration::parse("");
        assert_eq!(plain.servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!((plain.ndots, plain.attempts, plain.timeout), (1, 2, Span::from_secs(5)));
        let text = "# c\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver ::1\nnameserver 10.0.0.2\n\
                    nameserver 10.0.0.3\noptions ndots:99 timeout:0 attempts:9 rotate unknown:1\n";
        let full = Configuration::parse(text);
        assert_eq!(full.servers.len(), 3);
        assert_eq!((full.ndots, full.attempts, full.timeout), (15, 5, Span::from_secs(1)));
        assert!(full.rotate);
    }

    #[test]
    fn search_domains_come_first_for_short_names() {
        let text = "domain old.example\nsearch a.example b.example.\n";
        let configuration = Configuration::parse(text);
        assert_eq!(configuration.candidates("gate"), ["gate.a.example", "gate.b.example", "gate"]);
        assert_eq!(configuration.candidates("gate.x")[0], "gate.x");
        assert_eq!(configuration.candidates("gate."), ["gate"]);
    }
}
