// Checks Adaptive Cards with the library of Adaptive Cards.
import { createRequire } from 'node:module';

const cards = createRequire(import.meta.url)('adaptivecards/dist/adaptivecards.js');
const VERSION = cards.Versions.v1_4;
/** What an element may have besides the properties of its schema: the elements in it, and what Teams adds. */
const OTHERS = {
  AdaptiveCard: ['actions', 'body', 'msteams'], ActionSet: ['actions'], Column: ['items'], ColumnSet: ['columns'], Container: ['items'],
  RichTextBlock: ['inlines'],
};

/** What is wrong with a card, in words. Empty if nothing is. */
export function check(source) {
  const card = new cards.AdaptiveCard();
  const context = new cards.SerializationContext(VERSION);
  card.parse(source, context);
  const events = Array.from({ length: context.eventCount }, (_, index) => context.getEventAt(index).message);
  const failures = card.validateProperties().validationEvents.map(({ message }) => message);
  return [...events, ...failures, ...unknownProperties(source)];
}

/** The library ignores properties that it does not know, so misspelt ones are looked up in its schema. */
function unknownProperties(source) {
  if (Array.isArray(source)) return source.flatMap(unknownProperties);
  if (typeof source !== 'object' || source === null) return [];
  const properties = Object.entries(source).flatMap(([name, value]) => (
    name === 'facts' ? value.flatMap((fact) => unknownNames(fact, new cards.Fact(), 'Fact')) : unknownProperties(value)));
  // `msteams` has no type, and is not a part of the schema.
  if (source.type === undefined) return properties;
  const element = instance(source.type);
  return [...(element ? unknownNames(source, element, source.type) : [`there is no ${source.type}`]), ...properties];
}

function instance(type) {
  if (type === 'AdaptiveCard') return new cards.AdaptiveCard();
  if (type === 'Column') return new cards.Column();
  const registries = [cards.GlobalRegistry.elements, cards.GlobalRegistry.actions];
  return registries.map((registry) => registry.createInstance(type, VERSION)).find((made) => made);
}

function unknownNames(source, element, type) {
  const schema = element.getSchema();
  const known = Array.from({ length: schema.getCount() }, (_, index) => schema.getItemAt(index))
    .filter((property) => property.targetVersion.compareTo(VERSION) <= 0)
    .map((property) => property.name);
  return Object.keys(source).filter((name) => ![...known, ...OTHERS[type] ?? []].includes(name))
    .map((name) => `${type} has no property ${name} in version 1.4`);
}
