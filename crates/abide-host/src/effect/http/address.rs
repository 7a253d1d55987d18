//! Which hosts may be called: patterns of the manifest, and the addresses that they admit.

use std::fmt;

use url::{Host, Url};

/// A host that calls may go to, as `allowed_hosts` lists them: `api.example.com`, `10.0.0.7:8080`, `[::1]:80` or
/// `*.example.com`.
///
/// Without a port it admits the usual one of the scheme alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// Whether it stands for every name below, and not for the name itself.
    below: bool,
    host: Host<String>,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why it is none, in lower case.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if name.contains(['/', '\\', '@', '?', '#', '*']) || name.trim() != name {
            return Err("it is no host alone");
        }
        let of = |scheme: &str| Url::parse(&format!("{scheme}://{name}/")).map_err(|_| "it is no host");
        let (secure, plain) = (of("https")?, of("http")?);
        // A parser drops the usual port of the scheme, so that one of the two always shows it.
        let port = secure.port().or(plain.port());
        let host = secure.host().ok_or("it is no host")?.to_owned();
        match &host {
            Host::Domain(name) if name.ends_with('.') => return Err("it ends with a dot"),
            Host::Ipv4(_) | Host::Ipv6(_) if below => return Err("an address has no names below it"),
            _ => {}
        }
        Ok(Self { below, host, port })
    }

    fn admits(&self, url: &Url) -> bool {
        let port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        let host = match (url.host(), &self.host) {
            (Some(Host::Domain(name)), Host::Domain(pattern)) if self.below => {
                name.strip_suffix(pattern.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Some(Host::Domain(name)), Host::Domain(pattern)) => name == pattern,
            (Some(Host::Ipv4(address)), Host::Ipv4(pattern)) => address == *pattern,
            (Some(Host::Ipv6(address)), Host::Ipv6(pattern)) => address == *pattern,
            _ => false,
        };
        host && port
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The address that a call names, normalised, or why it may not be called.
///
/// # Errors
/// In lower case, with what to do.
pub(crate) fn checked(base: Option<&Url>, text: &str, allowed: &[AllowedHost]) -> Result<Url, String> {
    let mut url = match base {
        Some(base) => base.join(text),
        None => Url::parse(text),
    }
    .map_err(|error| {
        let help = if base.is_none() { "; write it whole, or give the target a `base_url`" } else { "" };
        format!("the address of the call is none: {error}{help}")
    })?;
    url.set_fragment(None);
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}:` is no scheme of the target; it calls `http:` and `https:`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "an address may not hold a user or a password; give the target a header instead".to_owned()
        );
    }
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(format!("the host of `{}` ends with a dot; leave it out", origin(&url)));
    }
    if !allowed.iter().any(|host| host.admits(&url)) {
        return Err(format!("`{}` is not among the `allowed_hosts` of the target", origin(&url)));
    }
    Ok(url)
}

/// Scheme, host and port: what may be said of an address, as the rest of it may hold secrets.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(pattern: &str, address: &str) -> bool {
        let allowed = [AllowedHost::parse(pattern).expect("a pattern")];
        checked(None, address, &allowed).is_ok()
    }

    #[test]
    fn a_host_is_admitted_exactly() {
        for (pattern, address) in [
            ("api.example.com", "https://api.example.com/a?b#c"),
            ("api.example.com", "https://API.Example.COM/"),
            ("API.example.com", "http://api.example.com:80/"),
            ("api.example.com:8080", "http://api.example.com:8080/"),
            ("api.example.com:443", "https://api.example.com/"),
            ("api.example.com:80", "http://api.example.com/"),
            ("127.0.0.1", "http://0x7f.1/"),
            ("[::1]:81", "http://[0:0::1]:81/"),
            ("bücher.example", "https://xn--bcher-kva.example/"),
            ("*.example.com", "https://a.b.example.com/"),
        ] {
            assert!(admits(pattern, address), "{pattern} {address}");
        }
    }

    #[test]
    fn what_only_looks_like_an_allowed_host_is_not() {
        for (pattern, address) in [
            ("api.example.com", "https://api.example.com@evil.test/"),
            ("api.example.com", "https://api.example.com:pw@evil.test/"),
            ("api.example.com", "https://user@api.example.com/"),
            ("api.example.com", "https://evil.test\\@api.example.com/"),
            ("api.example.com", "https://evil.test/#@api.example.com"),
            ("api.example.com", "https://api.example.com.evil.test/"),
            ("api.example.com", "https://api.example.com./"),
            ("api.example.com", "https://api.example.com:444/"),
            ("api.example.com", "http://api.example.com:443/"),
            ("api.example.com:443", "http://api.example.com/"),
            ("api.example.com", "ftp://api.example.com/"),
            ("api.example.com", "file:///etc/passwd"),
            ("api.example.com", "//api.example.com/"),
            ("127.0.0.1", "http://[::ffff:127.0.0.1]/"),
            ("[::1]", "http://127.0.0.1/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://.example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("*.example.com", "https://a.example.com.evil.test/"),
        ] {
            assert!(!admits(pattern, address), "{pattern} {address}");
        }
    }

    #[test]
    fn a_path_cannot_leave_the_host_of_its_base() {
        let base = Url::parse("https://api.example.com/v1/").expect("a base");
        let allowed = [AllowedHost::parse("api.example.com").expect("a pattern")];
        let to = |path| checked(Some(&base), path, &allowed).map(String::from);
        assert_eq!(to("alerts"), Ok("https://api.example.com/v1/alerts".to_owned()));
        assert_eq!(to("/alerts"), Ok("https://api.example.com/alerts".to_owned()));
        assert!(to("//evil.test/").is_err());
        assert!(to("\\\\evil.test/").is_err());
        assert!(to("https:\\\\evil.test/").is_err());
    }

    #[test]
    fn a_pattern_is_a_host_and_nothing_else() {
        for text in ["", "*", "*.", "https://a", "a/b", "u@a", "a b", " a", "a.", "*.1.2.3.4", "a:b", "a.*.b"]
        {
            assert!(AllowedHost::parse(text).is_err(), "{text}");
        }
        let shown = |text| AllowedHost::parse(text).map(|host| host.to_string());
        assert_eq!(shown("*.Example.com:443"), Ok("*.example.com:443".to_owned()));
        assert_eq!(shown("[::1]"), Ok("[::1]".to_owned()));
    }
}
