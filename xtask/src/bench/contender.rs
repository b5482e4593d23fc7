//! What is compared: four ways to give a pod its network, each on a host of its own.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use podnet_testkit::Pod;

use super::field::Field;
use super::in_process::InProcess;
use super::kernel::Kernel;
use super::programs::{Installed, Programs};

/// The columns of the table, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    /// The Go programs.
    Go,
    /// Our program, called the same way.
    PodnetCni,
    /// Our kubenet in this process.
    InProcess,
    /// The netlink messages of one attachment and nothing else.
    Kernel,
}

impl Column {
    /// What stands above the column.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::PodnetCni => "podnet-cni",
            Self::InProcess => "in-process",
            Self::Kernel => "kernel",
        }
    }
}

/// What is done to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `lo`, then `eth0` with an address.
    SetUp,
    /// `lo`, then `eth0`, and the address given back.
    TearDown,
}

/// One operation that ended well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    /// How long it took.
    pub(super) took: Duration,
    /// The address that a set-up reported.
    pub(super) address: Option<IpAddr>,
}

/// A way to give pods their network, and the host on which it does so.
pub(super) struct Contender<'a> {
    pub(super) column: Column,
    pub(super) field: &'a Field,
    way: Way<'a>,
}

enum Way<'a> {
    Programs(Programs<'a>),
    InProcess(Box<InProcess>),
    Kernel(Kernel),
}

impl<'a> Contender<'a> {
    /// Programs that are started for each operation.
    pub(super) fn programs(column: Column, field: &'a Field, installed: &Installed) -> Self {
        Self { column, field, way: Way::Programs(Programs::new(&field.host, installed)) }
    }

    /// Our kubenet. Must be called in the namespace of the field's host.
    pub(super) async fn in_process(field: &'a Field) -> Result<Self> {
        let way = Way::InProcess(Box::new(InProcess::start(&field.host).await?));
        Ok(Self { column: Column::InProcess, field, way })
    }

    /// The bare messages.
    pub(super) async fn kernel(field: &'a Field) -> Result<Self> {
        let way = Way::Kernel(Kernel::prepare(field).await?);
        Ok(Self { column: Column::Kernel, field, way })
    }

    /// One operation.
    pub(super) async fn timed(&self, step: Step, pod: &Pod) -> Result<Timed> {
        let begun = Instant::now();
        let done = match &self.way {
            Way::Programs(programs) => return programs.timed(step, pod),
            Way::InProcess(kubenet) => kubenet.perform(step, pod).await,
            Way::Kernel(kernel) => kernel.perform(step, pod).await,
        };
        let took = begun.elapsed();
        let address = done.with_context(|| format!("{step:?} of {}", pod.name()))?;
        Ok(Timed { took, address })
    }

    /// One operation on each of these pods, all at once; and how long all of them took together.
    pub(super) async fn at_once(&self, step: Step, pods: &[Pod]) -> Result<(Vec<Timed>, Duration)> {
        let begun = Instant::now();
        let done = match &self.way {
            Way::Programs(programs) => programs.at_once(step, pods),
            _ => join_all(pods.iter().map(|pod| self.timed(step, pod))).await,
        };
        let took = begun.elapsed();
        Ok((done.into_iter().collect::<Result<_>>()?, took))
    }

    /// Starts one program that only says its versions; none where no program is started.
    pub(super) fn start_program(&self) -> Result<Option<Duration>> {
        match &self.way {
            Way::Programs(programs) => programs.start().map(Some),
            _ => Ok(None),
        }
    }
}
