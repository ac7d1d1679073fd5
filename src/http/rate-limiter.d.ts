/** The one limiter in use, by its own file; the package describes only its index. */
declare module "rate-limiter-flexible/lib/RateLimiterMemory.js" {
  export { RateLimiterMemory as default } from "rate-limiter-flexible"
}
