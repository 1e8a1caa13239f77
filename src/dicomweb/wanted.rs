//! How a picture is wanted: the parameters of rendered resources (PS3.18 §8.3.5) and of the old service (§9.1.2).

use axum::http::Uri;

use super::answer::Problem;
use crate::picture::{Ask, Form, Function, Window};

/// Of a JPEG, where nothing is said.
const QUALITY: u8 = 90;

/// A picture, but for its media type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drawn {
    pub(super) ask: Ask,
}

impl Drawn {
    /// By the parameters of an address. Those that are not about how it is drawn are left alone.
    pub(super) fn read(uri: &Uri) -> Result<Drawn, Problem> {
        let mut ask = Ask { frame: 1, window: None, region: None, size: None, form: Form::Jpeg, quality: QUALITY };
        let (mut rows, mut columns) = (None, None);
        let (mut centre, mut width) = (None, None);
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let wrong = |what: &str| Problem::bad(format!("`{name}` {what}"));
            let edge = |value: &str| value.parse().ok().filter(|edge| *edge > 0);
            match &*name {
                "quality" | "imageQuality" => {
                    let quality = value.parse().ok().filter(|quality| (1..=100).contains(quality));
                    ask.quality = quality.ok_or_else(|| wrong("is a number from 1 to 100"))?;
                }
                "viewport" => {
                    let viewport = viewport(&value);
                    (ask.size, ask.region) = viewport.ok_or_else(|| {
                        wrong("is the width and the height of the picture, and maybe the left, top, width and height of a region")
                    })?;
                }
                "window" => {
                    let window = window(&value);
                    ask.window = Some(window.ok_or_else(|| {
                        wrong("is a centre, a width, and LINEAR, LINEAR_EXACT or SIGMOID, between commas")
                    })?);
                }
                "rows" => rows = Some(edge(&value).ok_or_else(|| wrong("is a number of pixels"))?),
                "columns" => columns = Some(edge(&value).ok_or_else(|| wrong("is a number of pixels"))?),
                "windowCenter" => centre = Some(number(&value).ok_or_else(|| wrong("is a number"))?),
                "windowWidth" => width = Some(number(&value).ok_or_else(|| wrong("is a number"))?),
                "frameNumber" => {
                    let frame = value.parse().ok().filter(|frame| *frame > 0);
                    ask.frame = frame.ok_or_else(|| wrong("is a number from 1 on"))?;
                }
                "region" => return Err(wrong("is not known here: ask the service /rendered for a viewport")),
                _ => {}
            }
        }
        if rows.is_some() || columns.is_some() {
            ask.size = Some((columns.unwrap_or(u16::MAX), rows.unwrap_or(u16::MAX)));
        }
        match (centre, width) {
            (None, None) => {}
            (Some(centre), Some(width)) if width >= 1.0 => {
                ask.window = Some(Window { centre, width, function: Function::Linear });
            }
            _ => return Err(Problem::bad("a window has `windowCenter` and `windowWidth`, which is 1 or more")),
        }
        Ok(Drawn { ask })
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// The size of the picture, and the part of the frame that it shows.
type Viewport = (Option<(u16, u16)>, Option<[u32; 4]>);

fn viewport(text: &str) -> Option<Viewport> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (wide, high, region) = match *parts.as_slice() {
        [wide, high] => (wide, high, None),
        [wide, high, ref region @ ..] if region.len() <= 4 => (wide, high, Some(region)),
        _ => return None,
    };
    let edge = |text: &str| text.parse().ok().filter(|edge: &u16| *edge > 0);
    let mut part = [0, 0, u32::MAX, u32::MAX];
    for (to, text) in part.iter_mut().zip(region.unwrap_or_default()) {
        // What is left out is what it is by default.
        if !text.is_empty() {
            *to = text.parse().ok()?;
        }
    }
    Some((Some((edge(wide)?, edge(high)?)), region.map(|_| part)))
}

fn window(text: &str) -> Option<Window> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (centre, width, function) = match *parts.as_slice() {
        [centre, width] => (centre, width, Function::Linear),
        [centre, width, function] => {
            let function = match function.to_ascii_uppercase().replace('-', "_").as_str() {
                "LINEAR" => Function::Linear,
                "LINEAR_EXACT" => Function::LinearExact,
                "SIGMOID" => Function::Sigmoid,
                _ => return None,
            };
            (centre, width, function)
        }
        _ => return None,
    };
    let least = if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
    let width = number(width).filter(|width| *width >= least)?;
    Some(Window { centre: number(centre)?, width, function })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<Ask> {
        Drawn::read(&format!("/x?{query}").parse().unwrap()).ok().map(|drawn| drawn.ask)
    }

    #[test]
    fn a_picture_is_drawn_as_its_address_says() {
        let plain = read("accept=image/png").unwrap();
        assert_eq!((plain.frame, plain.size, plain.region, plain.quality), (1, None, None, QUALITY));
        let ask = read("viewport=64,32&window=40,400,linear-exact&quality=50").unwrap();
        assert_eq!((ask.size, ask.region, ask.quality), (Some((64, 32)), None, 50));
        assert_eq!(ask.window.unwrap(), Window { centre: 40.0, width: 400.0, function: Function::LinearExact });
        assert_eq!(read("viewport=8,8,1,2,3,4").unwrap().region, Some([1, 2, 3, 4]));
        assert_eq!(read("viewport=8,8,,,3,").unwrap().region, Some([0, 0, 3, u32::MAX]));
        let old = read("rows=10&windowCenter=-1.5&windowWidth=3&frameNumber=7&imageQuality=1").unwrap();
        assert_eq!((old.size, old.frame, old.quality), (Some((u16::MAX, 10)), 7, 1));
        assert_eq!(old.window.unwrap(), Window { centre: -1.5, width: 3.0, function: Function::Linear });
        for wrong in [
            "viewport=64",
            "viewport=0,1",
            "viewport=1,1,1,1,1,1,1",
            "viewport=1,1,-1",
            "window=1",
            "window=1,0",
            "window=1,2,CURVE",
            "window=inf,2",
            "quality=0",
            "quality=101",
            "rows=0",
            "windowCenter=1",
            "frameNumber=0",
            "windowCenter=1&windowWidth=0",
            "region=0,0,1,1",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
