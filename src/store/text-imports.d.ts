/** SQL files are imported as text, which embeds them in the executable. */
declare module "*.sql" {
  const text: string
  export default text
}
