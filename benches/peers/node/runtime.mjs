// A simple loop that replaces Lambda's runtime for Node, whose client is compiled for Lambda only. It does less work than the
// real runtime, which makes the Node version look better.

import { Agent, request } from "node:http";
import { createRequire } from "node:module";

const { handler } = createRequire(import.meta.url)(process.argv[2]);
const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
const agent = new Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = request(`${base}/${path}`, { method, agent }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      resolve({ id: response.headers["lambda-runtime-aws-request-id"], text });
    });
    sent.on("error", reject).end(body);
  });
}

for (;;) {
  const { id, text } = await call("GET", "next");
  try {
    await call("POST", `${id}/response`, JSON.stringify(await handler(JSON.parse(text))));
  } catch (error) {
    await call("POST", `${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
  }
}
