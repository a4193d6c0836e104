# One image per service: docker build --target order . or --target inventory .
FROM node:22-bookworm-slim AS base
WORKDIR /app

FROM base AS build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json nest-cli.json ./
COPY tools/console tools/console
COPY libs libs
COPY apps apps
RUN npm run build

FROM base AS dependencies
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM base AS runtime
ENV NODE_ENV=production
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
# Stops taking in, finishes what it holds, and ends with 0.
STOPSIGNAL SIGTERM

FROM runtime AS order
EXPOSE 3001
# 503 while the broker or the database is away, which the service itself survives: show it, but do not restart for it.
HEALTHCHECK --interval=5s --timeout=4s --start-period=40s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ORDER_PORT || 3001}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/apps/order/main.js"]

FROM runtime AS inventory
EXPOSE 3002
HEALTHCHECK --interval=5s --timeout=4s --start-period=40s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.INVENTORY_PORT || 3002}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/apps/inventory/main.js"]
