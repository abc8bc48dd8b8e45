// Checks HTML with html-validate.
import { HtmlValidate } from 'html-validate';

const validator = new HtmlValidate({
  extends: ['html-validate:recommended', 'html-validate:document'],
  rules: {
    // Mail programs know styles at elements and attributes of tables, and not much else.
    'no-inline-style': 'off',
    'no-deprecated-attr': 'off',
    // A title is a headline with all totals.
    'long-title': 'off',
    // Browsers add the element, and it is the same everywhere.
    'prefer-tbody': 'off',
  },
});

/** What is wrong with a document, in words. Empty if nothing is. */
export async function faults(html) {
  const { results } = await validator.validateString(html);
  return results.flatMap(({ messages }) => messages.map((one) => `${one.line}: ${one.ruleId}: ${one.message}`)).slice(0, 20);
}
