//! One college with its gateway, and a small internet around it.

use super::browser::Browser;
use super::dns::NameServer;
use super::gateway::Gateway;
use super::origin::Origin;
use super::site::{PUPIL, Site, TEACHER};

/// A gateway with the rules of [`super::site::POLICY`], a name server and an HTTP origin that all names lead to.
pub struct School {
    pub gateway: Gateway,
    pub site: Site,
    pub names: NameServer,
    pub origin: Origin,
}

impl School {
    pub async fn open() -> Self {
        School::open_with(|_| {}).await
    }

    /// `change` sees the site before the gateway starts.
    pub async fn open_with(change: impl FnOnce(&mut Site)) -> Self {
        let names = NameServer::start().await;
        let origin = Origin::http().await;
        let mut site = Site::new(Some(names.address));
        change(&mut site);
        let gateway = Gateway::start(&mut site).await;
        School { gateway, site, names, origin }
    }

    pub async fn pupil(&self) -> Browser {
        Browser::at(PUPIL, self.gateway.proxy).await
    }

    pub async fn teacher(&self) -> Browser {
        Browser::at(TEACHER, self.gateway.proxy).await
    }

    /// A URL of the origin under one of its names.
    pub fn url(&self, host: &str, path: &str) -> String {
        self.origin.url(host, path)
    }
}
