use clap::Args;

use super::tag::{Tag, with_tags};
use crate::client::Parameters;

/// What is told of a device.
#[derive(Args, Default)]
pub(crate) struct Attributes {
    /// A name for people
    #[arg(long)]
    alias: Option<String>,
    /// Address in the private network
    #[arg(long, value_name = "IP")]
    lan_ip: Option<String>,
    /// Public address
    #[arg(long, value_name = "IP")]
    wan_ip: Option<String>,
    /// Management address
    #[arg(long, value_name = "IP")]
    mgt_ip: Option<String>,
    /// Address that DHCP gives it
    #[arg(long, value_name = "IP")]
    dhcp_ip: Option<String>,
    /// Where it is in its life; 4 is in operation
    #[arg(long, value_name = "N")]
    device_status: Option<u8>,
    /// What is being done to it; 1 is running
    #[arg(long, value_name = "N")]
    operate_status: Option<u8>,
    /// Zone
    #[arg(long)]
    zone: Option<String>,
    /// Network
    #[arg(long, value_name = "VPC")]
    vpc: Option<String>,
    /// The network's name
    #[arg(long, value_name = "NAME")]
    vpc_name: Option<String>,
    /// The network's range of addresses
    #[arg(long, value_name = "CIDR")]
    vpc_cidr: Option<String>,
    /// Subnet
    #[arg(long)]
    subnet: Option<String>,
    /// The subnet's name
    #[arg(long, value_name = "NAME")]
    subnet_name: Option<String>,
    /// The subnet's range of addresses
    #[arg(long, value_name = "CIDR")]
    subnet_cidr: Option<String>,
    /// Class
    #[arg(long, value_name = "CODE")]
    class: Option<String>,
    /// Type, such as compute, standard or storage
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<String>,
    /// How it is paid for: 1 prepaid, 2 postpaid, 3 changing
    #[arg(long, value_name = "N")]
    pay_mode: Option<u8>,
    /// Paid until
    #[arg(long, value_name = "\"YYYY-MM-DD HH:MM:SS\"")]
    deadline: Option<String>,
    /// Maintenance: Maintain, WillExpire or Expire
    #[arg(long, value_name = "STATUS")]
    maintain_status: Option<String>,
    /// What is to be said of its maintenance
    #[arg(long, value_name = "TEXT")]
    maintain_message: Option<String>,
    /// A tag; those given replace all that it has
    #[arg(long = "tag", value_name = "KEY[=VALUE]")]
    tags: Vec<Tag>,
    /// Any other attribute of API 2.0, such as osTypeId=1
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    // The service ignores other names that begin with a capital (contract section 3).
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err("the name of an attribute begins with a small letter".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Attributes {
    pub(super) fn parameters(self) -> Parameters {
        let named = Parameters::new()
            .with_some("alias", self.alias)
            .with_some("lanIp", self.lan_ip)
            .with_some("wanIp", self.wan_ip)
            .with_some("mgtIp", self.mgt_ip)
            .with_some("dhcpIp", self.dhcp_ip)
            .with_some("deviceStatus", self.device_status)
            .with_some("operateStatus", self.operate_status)
            .with_some("zone", self.zone)
            .with_some("unVpcId", self.vpc)
            .with_some("vpcName", self.vpc_name)
            .with_some("vpcCidrBlock", self.vpc_cidr)
            .with_some("unSubnetId", self.subnet)
            .with_some("subnetName", self.subnet_name)
            .with_some("subnetCidrBlock", self.subnet_cidr)
            .with_some("deviceClassCode", self.class)
            .with_some("deviceType", self.device_type)
            .with_some("cpmPayMode", self.pay_mode)
            .with_some("deadline", self.deadline)
            .with_some("maintainStatus", self.maintain_status)
            .with_some("maintainMessage", self.maintain_message);
        let tagged = with_tags(named, &self.tags);
        self.set.into_iter().fold(tagged, |all, (name, value)| all.with(&name, value))
    }
}
