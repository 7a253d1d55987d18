//! What a subject of the control interface asks for.

/// A request of the control interface, by its subject `PREFIX.v1.LATTICE.…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Who is there?
    Ping,
    /// What runs on that host?
    Inventory(String),
    /// That host is to stop.
    Stop(String),
    /// Who would run this component?
    AuctionComponent,
    /// That host is to run so many of a component.
    Scale(String),
    /// That host is to run another version of a component.
    Update(String),
    /// Who would run this provider?
    AuctionProvider,
    /// That host is to start a provider.
    StartProvider(String),
    /// That host is to stop a provider.
    StopProvider(String),
    /// A label of that host.
    PutLabel(String),
    /// A label of that host is to go.
    DeleteLabel(String),
    /// A link.
    PutLink,
    /// A link is to go.
    DeleteLink,
    /// Every link.
    Links,
    /// Every claim.
    Claims,
    /// Named configuration.
    PutConfig(String),
    /// Named configuration is to go.
    DeleteConfig(String),
    /// Named configuration is asked for.
    Config(String),
    /// Credentials of registries.
    Registries,
    /// None of these.
    Unsupported,
}

impl Subject {
    /// Reads a subject; `None` where it is not one of the control interface of that lattice.
    #[must_use]
    pub fn read(prefix: &str, lattice: &str, subject: &str) -> Option<Self> {
        let rest =
            subject.strip_prefix(prefix)?.strip_prefix(".v1.")?.strip_prefix(lattice)?.strip_prefix('.')?;
        let parts: Vec<&str> = rest.splitn(3, '.').collect();
        let named = |name: &str| name.to_owned();
        Some(match parts.as_slice() {
            ["host", "ping"] => Self::Ping,
            ["host", "get", id] => Self::Inventory(named(id)),
            ["host", "stop", id] => Self::Stop(named(id)),
            ["component", "auction"] => Self::AuctionComponent,
            ["component", "scale", id] => Self::Scale(named(id)),
            ["component", "update", id] => Self::Update(named(id)),
            ["provider", "auction"] => Self::AuctionProvider,
            ["provider", "start", id] => Self::StartProvider(named(id)),
            ["provider", "stop", id] => Self::StopProvider(named(id)),
            ["label", "put", id] => Self::PutLabel(named(id)),
            ["label", "del", id] => Self::DeleteLabel(named(id)),
            ["link", "put"] => Self::PutLink,
            ["link", "del"] => Self::DeleteLink,
            ["link", "get"] => Self::Links,
            ["claims", "get"] => Self::Claims,
            ["config", "put", name] => Self::PutConfig(named(name)),
            ["config", "del", name] => Self::DeleteConfig(named(name)),
            ["config", "get", name] => Self::Config(named(name)),
            ["registry", "put"] => Self::Registries,
            _ => Self::Unsupported,
        })
    }

    /// The subjects to listen on, below `PREFIX.v1.LATTICE`, for a host; and for those that one host of all answers, the group.
    #[must_use]
    pub fn subscriptions(prefix: &str, lattice: &str, host: &str) -> Vec<(String, Option<String>)> {
        let base = format!("{prefix}.v1.{lattice}");
        let alone = ["host.ping", "component.auction", "provider.auction", "registry.put"]
            .map(|rest| (format!("{base}.{rest}"), None));
        let own =
            ["host", "component", "provider", "label"].map(|what| (format!("{base}.{what}.*.{host}"), None));
        let shared = [("link", "link.*"), ("claims", "claims.get"), ("config", "config.>")];
        let shared = shared.map(|(what, rest)| (format!("{base}.{rest}"), Some(format!("{base}.{what}"))));
        alone.into_iter().chain(own).chain(shared).collect()
    }
}

/// Subjects that hosts and their clients alone speak on: nobody has a host say for him what is said there.
#[derive(Clone, Debug)]
pub(crate) struct Reserved {
    lattice: String,
    /// Where the subjects of the control interface begin.
    control: String,
}

impl Reserved {
    pub(crate) fn new(lattice: &str, control: &str) -> Self {
        Self { lattice: lattice.to_owned(), control: control.to_owned() }
    }

    /// Whether a subject is one of them.
    pub(crate) fn holds(&self, subject: &str) -> bool {
        let begins = |with: &str| subject.strip_prefix(with).is_some_and(|rest| rest.starts_with('.'));
        subject.starts_with('$') || [&*self.lattice, &*self.control, "wasmbus"].into_iter().any(begins)
    }
}
