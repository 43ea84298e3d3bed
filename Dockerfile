# The worker of the orders example. For a worker of your own, copy this file: only the two lines that name the example change.

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build
# An application brings the peer dependencies; here they are development dependencies as well, and with these they would be pruned. Nothing that stays changes its version.
RUN npm pkg delete devDependencies && npm prune --no-audit --no-fund
# Temporal's native library comes for five platforms, 30 MB each: what this one does not load is removed.
RUN find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY examples/orders ./examples/orders
# The definitions are TypeScript; they are compiled when the worker starts, and kept nowhere.
ENV JITI_FS_CACHE=false
USER node
EXPOSE 9464
# Node is the first process and handles SIGTERM itself: the worker drains. Started through npm or a shell, the signal would not reach it.
CMD ["node", "dist/cli.js", "worker", "--config", "/app/examples/orders/twinwrite.config.ts"]
