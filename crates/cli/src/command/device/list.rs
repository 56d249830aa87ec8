//! Every device that matches, page by page, while others come and go.

use clap::Args;
use serde_json::{Value, json};

use super::tag::{Tag, with_tags};
use super::{operate_text, status_text};
use crate::client::answer::Devices;
use crate::client::{Client, Parameters};
use crate::command::CommandError;
use crate::output::{self, field};

/// The most devices that one answer lists (contract 4.3).
const PAGE: usize = 1000;

/// Which devices to list.
#[derive(Args)]
pub(crate) struct Filters {
    /// Only those whose alias holds this text
    #[arg(long)]
    alias: Option<String>,
    /// Only those whose alias begins with this text; quick among many devices
    #[arg(long, value_name = "TEXT")]
    alias_prefix: Option<String>,
    /// Only those with this private address
    #[arg(long, value_name = "IP")]
    lan_ip: Vec<String>,
    /// Only those with this tag: of one key any of the values, of different keys all
    #[arg(long = "tag", value_name = "KEY[=VALUE]")]
    tags: Vec<Tag>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<String>,
    /// Only those with this maintenance: Maintain, WillExpire or Expire
    #[arg(long, value_name = "STATUS")]
    maintain_status: Option<String>,
}

impl Filters {
    fn parameters(&self) -> Parameters {
        let parameters = Parameters::new()
            .with_some("alias", self.alias.as_deref())
            .with_some("aliasPrefix", self.alias_prefix.as_deref())
            .with_list("lanIps", &self.lan_ip)
            .with_some("deviceType", self.device_type.as_deref())
            .with_some("maintainStatus", self.maintain_status.as_deref());
        with_tags(parameters, &self.tags)
    }
}

pub(super) async fn list(client: &Client, filters: &Filters) -> Result<Vec<Value>, CommandError> {
    let mut listing = Listing { devices: Vec::new(), offset: 0, page: PAGE };
    loop {
        let place = filters.parameters().with("offset", listing.offset).with("limit", PAGE);
        let page: Devices = client.ask("DescribeDevice", place).await?;
        if listing.take(page.device_list) {
            return Ok(listing.devices);
        }
    }
}

/// Pages of devices in the order of their ids. Each begins with the last device of the one before:
/// so it shows when devices before it were retired, and everything behind it moved up.
struct Listing {
    devices: Vec<Value>,
    offset: usize,
    page: usize,
}

impl Listing {
    /// Takes the page at the offset. True when all is listed: each device once that was there all
    /// the time.
    fn take(&mut self, page: Vec<Value>) -> bool {
        let last = self.devices.last().map(id).unwrap_or_default().to_owned();
        if self.offset > 0 && page.first().is_none_or(|first| id(first) > last.as_str()) {
            self.offset = self.offset.saturating_sub(self.page);
            return false;
        }
        let is_last = page.len() < self.page;
        self.offset += page.len().saturating_sub(1);
        self.devices.extend(page.into_iter().filter(|device| id(device) > last.as_str()));
        is_last
    }
}

fn id(device: &Value) -> &str {
    device["instanceId"].as_str().unwrap_or_default()
}

pub(super) fn show_list(devices: Vec<Value>, ids: bool, json: bool) {
    if json {
        return output::json(&json!({ "totalNum": devices.len(), "deviceList": devices }));
    }
    if ids {
        return devices.iter().for_each(|device| output::line(&field(device, "instanceId")));
    }
    let rows = devices.iter().map(|device| {
        let [id, alias, lan] = ["instanceId", "alias", "lanIp"].map(|name| field(device, name));
        [id, alias, lan, status_text(device), operate_text(device)]
    });
    let header = ["device", "alias", "address", "status", "operation"];
    output::table(header, rows.collect(), "no devices");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Lists devices 0, 2, 4 and so on, three at a time. Before the page with this number the
    /// devices change.
    fn listed(change_before: usize, change: impl Fn(&mut BTreeSet<u32>)) -> Vec<u32> {
        let mut there: BTreeSet<u32> = (0..12).map(|n| 2 * n).collect();
        let mut listing = Listing { devices: Vec::new(), offset: 0, page: 3 };
        for number in 0..30 {
            if number == change_before {
                change(&mut there);
            }
            let page = there.iter().skip(listing.offset).take(3);
            if listing.take(page.map(|n| json!({ "instanceId": format!("{n:02}") })).collect()) {
                let ids = listing.devices.iter().map(|device| id(device).parse().unwrap());
                return ids.collect();
            }
        }
        panic!("it does not end");
    }

    #[test]
    fn every_device_that_stays_is_listed_once_whatever_comes_and_goes() {
        let all: Vec<u32> = (0..12).map(|n| 2 * n).collect();
        assert_eq!(listed(99, |_| ()), all);
        for before in 0..7 {
            for place in 0..25 {
                let once = |listed: Vec<u32>, stays: fn(u32, u32) -> bool| {
                    let unique: BTreeSet<_> = listed.iter().copied().collect();
                    assert_eq!(unique.len(), listed.len(), "{before} {place} {listed:?}");
                    let missing: Vec<_> =
                        all.iter().filter(|n| stays(**n, place) && !unique.contains(n)).collect();
                    assert!(missing.is_empty(), "{before} {place}: {missing:?}");
                };
                once(listed(before, |there| there.extend([place])), |_, _| true);
                once(listed(before, |there| there.retain(|n| *n != place)), |n, place| n != place);
                once(listed(before, |there| there.retain(|n| *n >= place)), |n, place| n >= place);
                once(listed(before, |there| there.retain(|n| *n < place)), |n, place| n < place);
                once(listed(before, |there| there.extend(0..place)), |_, _| true);
            }
        }
    }
}
