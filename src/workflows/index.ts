export { crossStoreUpdate, progressQuery } from './cross-store-update';
