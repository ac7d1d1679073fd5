/** nginx as the benchmark uses it: as a plain reverse proxy to compare with, and as TLS in front of the fake upstream. Pure. */
import { PROBED } from "./forms.ts"

export interface Tls {
  readonly certificate: string
  readonly key: string
}

export interface NginxPlan {
  /** Working folder, for what nginx writes. */
  readonly folder: string
  readonly port: number
  /** Where requests go: `http://127.0.0.1:9000` or `https://localhost:9443`. */
  readonly upstream: string
  /** Serve TLS with HTTP/1.1 and HTTP/2 instead of plain HTTP. */
  readonly tls: Tls | null
}

/** One worker, no logs, upstream connections kept, answers passed on as they come. */
export function nginxConfig({ folder, port, upstream, tls }: NginxPlan): string {
  const [scheme = "http", address = ""] = upstream.split("://")
  const listen = tls === null ? `listen 127.0.0.1:${port};` : `listen 127.0.0.1:${port} ssl http2;`
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
worker_rlimit_nofile 40000;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 64k;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 2048;
  upstream real { server ${address.replace("localhost", "127.0.0.1")}; keepalive 2048; keepalive_requests 1000000000; }
  server {
    ${listen}
    ${tls === null ? "" : `ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key}; ssl_session_cache shared:s:8m;`}
    location = ${PROBED} { return 200 "ok"; }
    location / {
      proxy_pass ${scheme}://real;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_ssl_session_reuse on;
    }
  }
}
`
}

export const selfSigned = (folder: string): readonly string[] => [
  ..."openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
  "-addext",
  "subjectAltName=DNS:localhost,IP:127.0.0.1",
  "-keyout",
  `${folder}/tls.key`,
  "-out",
  `${folder}/tls.crt`,
]
