//! What the fuzz targets share: surveys and configurations that are made from bytes, and checks of what was rendered.

pub mod chunks;
pub mod config;
pub mod markup;
pub mod survey;
pub mod text;
