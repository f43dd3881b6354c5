# hubferry: the CLI, its workers and the simulator. glibc, because Temporal's SDK has no binary for musl.

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm ci --omit=dev

FROM node:20-bookworm-slim
# Temporal's SDK reads the system's certificates when it connects by TLS; the slim image has none.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/hubferry
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY docker/worker-health.mjs ./docker/
# A volume that is mounted on the second folder for the first time takes over its owner.
RUN chmod +x dist/client/main.js \
  && ln -s /opt/hubferry/dist/client/main.js /usr/local/bin/hubferry \
  && install --directory --owner node --group node /srv/hubferry /var/lib/hubferry-ca
ENV NODE_ENV=production
USER node
# hubferry.yaml is looked for here.
WORKDIR /srv/hubferry
ENTRYPOINT ["hubferry"]
CMD ["--help"]
