//! Which addresses may be called: public ones, and those the operator names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Not public, by the IANA registries of special-purpose addresses (RFC 6890 and its updates).
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// All of IPv6 that is given to hosts of the public net; special parts of it stand in [`SPECIAL_V6`].
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

const SPECIAL_V6: [Ipv6Net; 3] = [v6([0x2001, 0, 0, 0], 23), v6([0x2001, 0xdb8, 0, 0], 32), v6([0x3fff, 0, 0, 0], 20)];

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), prefix)
}

const fn v6(first: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first[0], first[1], first[2], first[3], 0, 0, 0, 0), prefix)
}

/// A text names no networks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither an address nor a network such as 10.0.0.0/8")]
pub struct GuardError(String);

/// Judges addresses. The default one lets only public addresses through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    /// Lets these through, too: addresses or networks, separated by commas.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn allowing(text: &str) -> Result<Self, GuardError> {
        let named = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let read = |it: &str| it.parse().or_else(|_| it.parse::<IpAddr>().map(IpNet::from));
        let allowed = named.map(|it| read(it).map_err(|_| GuardError(it.to_owned()))).collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// Whether `address` may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|it| it.contains(&address)) || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|it| it.contains(&address)),
        IpAddr::V6(address) => match inner(address) {
            Some(inner) => is_public(IpAddr::V4(inner)),
            None => PUBLIC_V6.contains(&address) && !SPECIAL_V6.iter().any(|it| it.contains(&address)),
        },
    }
}

/// The IPv4 address that a translated address leads to: NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let at = |from: usize| Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]);
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(at(12)),
        [0x2002, ..] => Some(at(2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn permits(guard: &Guard, address: &str) -> bool {
        guard.permits(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_called() {
        let guard = Guard::default();
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "2002:101:101::1"] {
            assert!(permits(&guard, public), "{public}");
        }
        for special in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "::127.0.0.1",
            "5f00::1",
        ] {
            assert!(!permits(&guard, special), "{special}");
        }
        for edge in ["100.128.0.1", "172.32.0.1", "11.0.0.1", "223.255.255.255"] {
            assert!(permits(&guard, edge), "{edge}");
        }
    }

    #[test]
    fn the_operator_names_more() {
        let guard = Guard::allowing(" 10.0.0.0/8, 127.0.0.1 ,fd00::/8,").unwrap();
        for named in ["10.9.9.9", "127.0.0.1", "::ffff:10.0.0.1", "fd12::1", "1.1.1.1"] {
            assert!(permits(&guard, named), "{named}");
        }
        assert!(!permits(&guard, "127.0.0.2"));
        assert!(Guard::allowing("10.0.0.0/33").unwrap_err().to_string().contains("10.0.0.0/33"));
        assert!(Guard::allowing("localhost").is_err());
        assert_eq!(Guard::allowing("").unwrap(), Guard::default());
    }
}
