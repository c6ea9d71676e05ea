//! The monitor.

use super::{MonitorTable, Parts};
use crate::clock::now_ns;
use anyhow::anyhow;
use centauri_roles::{Estimated, FamilyName, Monitor, MonitorConfig, Monitored};
use std::sync::atomic::AtomicUsize;

pub(super) fn run(parts: &Parts<'_>, table: &MonitorTable, stop: &AtomicUsize) -> anyhow::Result<()> {
    let mut monitored = Vec::with_capacity(table.distributions.len());
    for entry in &table.distributions {
        let family = if entry.family == "auto" {
            Estimated::Auto
        } else {
            let family: Result<FamilyName, _> = entry.family.parse();
            let wrong = |error| anyhow!("monitor.distributions {:?}: family: {error}", entry.name);
            Estimated::Fitted(family.map_err(wrong)?)
        };
        let senders = entry.senders.as_ref().map(|names| {
            names.iter().map(|name| parts.node("monitor.distributions", name)).collect::<Result<Vec<_>, _>>()
        });
        monitored.push(Monitored {
            centred: entry.centred,
            faults: Some(entry.faults),
            senders_min: 2 * entry.faults + 1,
            senders: senders.transpose()?,
            ..Monitored::new(&entry.name, entry.kind()?, family)
        });
    }
    let config = MonitorConfig {
        monitored,
        targets: table.targets.clone(),
        restored: parts
            .found
            .distributions
            .iter()
            .map(|(name, kept)| (name.clone(), kept.distribution.clone(), kept.published_ns))
            .collect(),
        limits: parts.limits,
        ..MonitorConfig::default()
    };
    let monitor = Monitor::new(&config, parts.registry.clone(), parts.identity.clone(), now_ns())?;
    parts.drive(parts.open(monitor)?, stop, |_| Ok(()), |_, _, _| {})
}
