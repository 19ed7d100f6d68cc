//! The placement of labels without overlaps.

use std::ops::RangeInclusive;

use super::svg::{Anchor, Point};

/// An upright rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// Returns the square around a point with the half-width `reach`.
    pub(super) fn around((x, y): Point, reach: f64) -> Self {
        Area { left: x - reach, top: y - reach, right: x + reach, bottom: y + reach }
    }

    fn meets(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn holds(&self, other: &Area) -> bool {
        self.left <= other.left
            && other.right <= self.right
            && self.top <= other.top
            && other.bottom <= self.bottom
    }
}

/// The place of a label: the anchor of its text, at half the height of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) anchor: Anchor,
    /// True if the label is so far from its point that a line should connect them.
    pub(super) is_apart: bool,
}

/// The side of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The free room of a chart.
pub(super) struct Room {
    bounds: Area,
    taken: Vec<Area>,
    /// Lines. A label crosses them only if no other place is free.
    crossed: Vec<Area>,
}

impl Room {
    pub(super) fn new(bounds: Area) -> Self {
        Room { bounds, taken: Vec::new(), crossed: Vec::new() }
    }

    pub(super) fn take(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Keeps labels off a straight line while other places are free.
    pub(super) fn avoid_line(&mut self, from: Point, to: Point) {
        const STEP: f64 = 4.0;
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let steps = (length / STEP).ceil().clamp(1.0, 1000.0);
        let between = |a: f64, b: f64, share: f64| a + (b - a) * share;
        self.crossed.extend((0..=steps as usize).map(|step| {
            let share = step as f64 / steps;
            Area::around((between(from.0, to.0, share), between(from.1, to.1, share)), STEP / 2.0)
        }));
    }

    /// Takes the area if it is free. Returns true if it was.
    pub(super) fn take_free(&mut self, area: Area) -> bool {
        let free = self.bounds.holds(&area) && !self.taken.iter().any(|taken| taken.meets(&area));
        if free {
            self.taken.push(area);
        }
        free
    }

    /// Takes the free place nearest to a point with a marker of `radius`. Returns none if no place is free.
    pub(super) fn place(
        &mut self,
        point: Point,
        radius: f64,
        (width, height): (f64, f64),
        side: Side,
    ) -> Option<Place> {
        let places = candidates(point, radius, height, side);
        let area = |place: &Place| {
            let left = match place.anchor {
                Anchor::Start => place.x,
                Anchor::Middle => place.x - width / 2.0,
                Anchor::End => place.x - width,
            };
            let top = place.y - height / 2.0;
            Area { left, top, right: left + width, bottom: top + height }
        };
        let is_free = |place: &&Place, obstacles: &[&[Area]]| {
            let area = area(place);
            self.bounds.holds(&area) && !obstacles.iter().any(|areas| areas.iter().any(|a| a.meets(&area)))
        };
        let place = places
            .iter()
            .find(|place| is_free(place, &[&self.taken, &self.crossed]))
            .or_else(|| places.iter().find(|place| is_free(place, &[&self.taken])))
            .copied()?;
        self.taken.push(area(&place));
        Some(place)
    }
}

/// Returns possible places: next to the point, above and below it, then farther away. The preferred side
/// comes first.
fn candidates((x, y): Point, radius: f64, height: f64, side: Side) -> Vec<Place> {
    const NEAR: usize = 4;
    const FAR: usize = 16;
    let gap = radius + 5.0;
    let other = if side == Side::Right { Side::Left } else { Side::Right };
    let beside = |side, step: isize| {
        let dy = 0.75 * height * step as f64;
        let (away, is_apart) = if step == 0 { (gap, false) } else { (gap + 8.0, dy.abs() > height) };
        match side {
            Side::Right => Place { x: x + away, y: y + dy, anchor: Anchor::Start, is_apart },
            Side::Left => Place { x: x - away, y: y + dy, anchor: Anchor::End, is_apart },
        }
    };
    let over = |dy| Place { x, y: y + dy, anchor: Anchor::Middle, is_apart: false };
    let away = |side, steps: RangeInclusive<usize>| {
        steps.flat_map(move |step| [-(step as isize), step as isize]).map(move |step| beside(side, step))
    };
    let mut places = vec![beside(side, 0), over(-gap - height / 2.0), over(gap + height / 2.0)];
    places.extend(away(side, 1..=NEAR));
    places.push(beside(other, 0));
    places.extend(away(other, 1..=NEAR));
    places.extend(away(side, NEAR + 1..=FAR).chain(away(other, NEAR + 1..=FAR)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (f64, f64) = (60.0, 14.0);
    const BOUNDS: Area = Area { left: 0.0, top: 0.0, right: 300.0, bottom: 200.0 };

    #[test]
    fn labels_of_one_point_do_not_overlap() {
        let mut room = Room::new(BOUNDS);
        let places: Vec<Place> = (0..12)
            .map(|_| room.place((150.0, 100.0), 5.0, SIZE, Side::Right).expect("there is room"))
            .collect();
        for (i, area) in room.taken.iter().enumerate() {
            assert!(BOUNDS.holds(area));
            assert!(room.taken[..i].iter().all(|other| !other.meets(area)), "{area:?}");
        }
        assert!(!places[0].is_apart && places.iter().any(|place| place.is_apart));
    }

    #[test]
    fn a_label_stays_inside_and_off_lines_if_it_can() {
        let mut room = Room::new(BOUNDS);
        let at_the_edge = room.place((295.0, 100.0), 5.0, SIZE, Side::Right).unwrap();
        assert_eq!(at_the_edge.anchor, Anchor::End);
        room.avoid_line((0.0, 50.0), (300.0, 50.0));
        let place = room.place((100.0, 50.0), 5.0, SIZE, Side::Right).unwrap();
        assert!((place.y - 50.0).abs() > SIZE.1 / 2.0, "{place:?}");
        assert!(room.place((100.0, 50.0), 5.0, (400.0, 14.0), Side::Left).is_none());
    }
}
