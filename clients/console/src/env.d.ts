/** The version of package.json, by vite.config.ts. */
declare const CONSOLE_VERSION: string;
declare module '*.css';
