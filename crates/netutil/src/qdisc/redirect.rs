//! What a link receives, sent on by another link: the ingress qdisc and one filter on it.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAction, TcActionAttribute, TcActionMirror, TcActionMirrorOption, TcActionOption,
    TcActionType, TcAttribute, TcFilterU32, TcFilterU32Option, TcHandle, TcMessage, TcMirror,
    TcMirrorActionType, TcOption, TcU32Key, TcU32Selector, TcU32SelectorFlags,
};

use super::{at, kind};
use crate::error::Error;
use crate::link::Link;
use crate::netlink::Netlink;

const INGRESS: &str = "ingress";
/// The handle that an ingress qdisc always has.
const INGRESS_HANDLE: TcHandle = TcHandle { major: u16::MAX, minor: 0 };
/// The first filter that is asked, for every kind of packet (`ETH_P_ALL`).
const PRIORITY: u32 = 1;
const ETH_P_ALL: u16 = 3;

impl Netlink {
    /// Has what `from` receives sent by `to`, after which it goes the way that it would have gone.
    ///
    /// What `to` does not send, because it is disabled or its queue is full, is lost.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when something handles what `from` receives already.
    pub async fn redirect_ingress(&self, from: &Link, to: &Link) -> Result<(), Error> {
        let mut qdisc = at(from, TcHandle::INGRESS);
        qdisc.header.handle = INGRESS_HANDLE;
        qdisc.attributes = vec![TcAttribute::Kind(INGRESS.to_owned())];
        let qdisc = RouteNetlinkMessage::NewQueueDiscipline(qdisc);
        let action = || format!("make an ingress qdisc on {from}");
        self.request(qdisc, NLM_F_CREATE | NLM_F_EXCL, action).await?;
        let filter = RouteNetlinkMessage::NewTrafficFilter(filter(from, to));
        let action = || format!("redirect what {from} receives to {to}");
        self.request(filter, NLM_F_CREATE | NLM_F_EXCL, action).await.map(drop)
    }

    /// The indexes of the links to which what `link` receives is redirected; 0 stands for one that is gone.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn ingress_redirects(&self, link: &Link) -> Result<Vec<u32>, Error> {
        let message = RouteNetlinkMessage::GetTrafficFilter(at(link, INGRESS_HANDLE));
        let answers = self.dump(message, || format!("list the filters of {link}")).await?;
        Ok(answers.iter().flat_map(redirects).collect())
    }

    /// Removes the ingress qdisc of a link with its filters. That there is none is success, and so is that the link is
    /// gone.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn remove_ingress(&self, link: &Link) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelQueueDiscipline(at(link, TcHandle::INGRESS));
        match self.request(message, 0, || format!("remove the ingress qdisc of {link}")).await {
            Err(error) if error.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }
}

fn filter(from: &Link, to: &Link) -> TcMessage {
    let mut message = at(from, INGRESS_HANDLE);
    message.header.info = PRIORITY << 16 | u32::from(ETH_P_ALL.to_be());
    let options =
        vec![TcFilterU32Option::Selector(everything()), TcFilterU32Option::Action(vec![send(to)])];
    message.attributes = vec![
        TcAttribute::Kind(TcFilterU32::KIND.to_owned()),
        TcAttribute::Options(options.into_iter().map(TcOption::U32).collect()),
    ];
    message
}

/// One key without a bit to compare.
fn everything() -> TcU32Selector {
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    selector.nkeys = 1;
    selector.keys = vec![TcU32Key::default()];
    selector
}

fn send(to: &Link) -> TcAction {
    let mut mirror = TcMirror::default();
    mirror.generic.action = TcActionType::Stolen;
    mirror.eaction = TcMirrorActionType::EgressRedir;
    mirror.ifindex = to.index;
    let parameters = TcActionOption::Mirror(TcActionMirrorOption::Parms(mirror));
    let mut action = TcAction::default();
    action.attributes = vec![
        TcActionAttribute::Kind(TcActionMirror::KIND.to_owned()),
        TcActionAttribute::Options(vec![parameters]),
    ];
    action
}

fn redirects(answer: &RouteNetlinkMessage) -> Vec<u32> {
    let RouteNetlinkMessage::NewTrafficFilter(message) = answer else { return Vec::new() };
    if kind(&message.attributes) != Some(TcFilterU32::KIND) {
        return Vec::new();
    }
    let options = message.attributes.iter().filter_map(|attribute| match attribute {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    });
    options.flatten().flat_map(targets).collect()
}

fn targets(option: &TcOption) -> Vec<u32> {
    let TcOption::U32(TcFilterU32Option::Action(actions)) = option else { return Vec::new() };
    let attributes = actions.iter().flat_map(|action| &action.attributes);
    let options = attributes.filter_map(|attribute| match attribute {
        TcActionAttribute::Options(options) => Some(options),
        _ => None,
    });
    let targets = options.flatten().filter_map(|option| match option {
        TcActionOption::Mirror(TcActionMirrorOption::Parms(mirror))
            if mirror.eaction == TcMirrorActionType::EgressRedir =>
        {
            Some(mirror.ifindex)
        }
        _ => None,
    });
    targets.collect()
}
