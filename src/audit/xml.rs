//! A message as the XML of PS3.15 A.5.1.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::codes::Code;
use super::message::{Message, Naming, Object, Ourselves, Participant};

/// No text that a peer chose is longer than this.
const LONGEST_TEXT: usize = 1024;

type Xml = Writer<Vec<u8>>;

/// Writes the message of an event that happened at a time (unix milliseconds).
pub(super) fn render(message: &Message, at: i64, we: &Ourselves) -> String {
    let mut xml = Writer::new(Vec::with_capacity(1024));
    // A vector takes what is written to it.
    let written = write(&mut xml, message, at, we);
    debug_assert!(written.is_ok());
    String::from_utf8(xml.into_inner()).unwrap_or_default()
}

fn write(xml: &mut Xml, message: &Message, at: i64, we: &Ourselves) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("AuditMessage").write_inner_content(|xml| {
        event(xml, message, at)?;
        message.participants.iter().try_for_each(|one| participant(xml, one))?;
        source(xml, we)?;
        message.objects.iter().try_for_each(|one| object(xml, one))
    })?;
    Ok(())
}

fn event(xml: &mut Xml, message: &Message, at: i64) -> io::Result<()> {
    let when = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    let event = xml
        .create_element("EventIdentification")
        .with_attribute(("EventActionCode", message.action))
        .with_attribute(("EventDateTime", format!("{when:.3}").as_str()))
        .with_attribute(("EventOutcomeIndicator", message.outcome.indicator().to_string().as_str()));
    event.write_inner_content(|xml| {
        coded(xml, "EventID", message.event)?;
        if let Some(kind) = message.kind {
            coded(xml, "EventTypeCode", kind)?;
        }
        match message.outcome.reason() {
            Some(why) => text(xml, "EventOutcomeDescription", why),
            None => Ok(()),
        }
    })?;
    Ok(())
}

fn participant(xml: &mut Xml, one: &Participant) -> io::Result<()> {
    let mut element = xml.create_element("ActiveParticipant").with_attribute(("UserID", clean(&one.id).as_str()));
    for (name, value) in [("AlternativeUserID", &one.alternative), ("UserName", &one.name)] {
        if let Some(value) = value {
            element = element.with_attribute((name, clean(value).as_str()));
        }
    }
    element = element.with_attribute(("UserIsRequestor", if one.requestor { "true" } else { "false" }));
    if let Some((place, is_address)) = &one.place {
        let kind = if *is_address { "2" } else { "1" };
        element = element
            .with_attribute(("NetworkAccessPointID", clean(place).as_str()))
            .with_attribute(("NetworkAccessPointTypeCode", kind));
    }
    match one.role {
        Some(role) => element.write_inner_content(|xml| coded(xml, "RoleIDCode", role))?,
        None => element.write_empty()?,
    };
    Ok(())
}

fn source(xml: &mut Xml, we: &Ourselves) -> io::Result<()> {
    let mut element = xml.create_element("AuditSourceIdentification");
    if let Some(site) = &we.site {
        element = element.with_attribute(("AuditEnterpriseSiteID", clean(site).as_str()));
    }
    // 4: an application server.
    element.with_attribute(("AuditSourceID", clean(&we.source).as_str())).write_inner_content(|xml| {
        xml.create_element("AuditSourceTypeCode").with_attribute(("csd-code", "4")).write_empty()?;
        Ok(())
    })?;
    Ok(())
}

fn object(xml: &mut Xml, one: &Object) -> io::Result<()> {
    let element = xml
        .create_element("ParticipantObjectIdentification")
        .with_attribute(("ParticipantObjectID", clean(&one.id).as_str()))
        .with_attribute(("ParticipantObjectTypeCode", if one.person { "1" } else { "2" }))
        .with_attribute(("ParticipantObjectTypeCodeRole", one.role));
    element.write_inner_content(|xml| {
        coded(xml, "ParticipantObjectIDTypeCode", one.kind)?;
        match &one.naming {
            Naming::Name(name) => text(xml, "ParticipantObjectName", name)?,
            Naming::Query(query) => text_as_it_is(xml, "ParticipantObjectQuery", &STANDARD.encode(query))?,
        }
        for (kind, value) in &one.details {
            detail(xml, kind, value)?;
        }
        description(xml, one)
    })?;
    Ok(())
}

fn description(xml: &mut Xml, one: &Object) -> io::Result<()> {
    if one.accession.is_none() && one.classes.is_empty() {
        return Ok(());
    }
    xml.create_element("ParticipantObjectDescription").write_inner_content(|xml| {
        if let Some(number) = &one.accession {
            xml.create_element("Accession").with_attribute(("Number", clean(number).as_str())).write_empty()?;
        }
        for (class, count) in &one.classes {
            let element = xml.create_element("SOPClass").with_attribute(("UID", clean(class).as_str()));
            element.with_attribute(("NumberOfInstances", count.to_string().as_str())).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn detail(xml: &mut Xml, kind: &str, value: &str) -> io::Result<()> {
    let value = STANDARD.encode(clean(value));
    let element = xml.create_element("ParticipantObjectDetail").with_attribute(("type", kind));
    element.with_attribute(("value", value.as_str())).write_empty()?;
    Ok(())
}

fn coded(xml: &mut Xml, element: &str, code: Code) -> io::Result<()> {
    let element = xml.create_element(element).with_attribute(("csd-code", code.value));
    element
        .with_attribute(("codeSystemName", code.system))
        .with_attribute(("originalText", code.meaning))
        .write_empty()?;
    Ok(())
}

fn text(xml: &mut Xml, element: &str, value: &str) -> io::Result<()> {
    text_as_it_is(xml, element, &clean(value))
}

fn text_as_it_is(xml: &mut Xml, element: &str, value: &str) -> io::Result<()> {
    xml.create_element(element).write_text_content(BytesText::new(value))?;
    Ok(())
}

/// Without what XML 1.0 cannot hold, and no longer than a text may be.
fn clean(text: &str) -> String {
    let may = |c: char| !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().take(LONGEST_TEXT).map(|c| if may(c) { c } else { '\u{FFFD}' }).collect()
}
