// A CommonJS module without a word of TypeScript, since Temporal's library takes it by `require` and webpack alike.
const { DefaultFailureConverter } = require('@temporalio/common');

/** Moves message and stack of a failure into a payload, which the codec seals. */
exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
