#!/bin/sh
# Collects what a Jitsi Meet server knows of its calls into one facts.tar.gz, for: jitsilab diagnose facts.tar.gz
# Plain POSIX shell, nothing to install, nothing changed, nothing sent. Debian packages and docker compose.
#
#   sudo sh collect.sh [DOMAIN [HOURS]]                          with this text in a file; 24 hours of logs by default
#   jitsilab deploy facts | ssh SERVER 'sudo sh -s DOMAIN 48'    without a file; the archive stays on the server
#
# Without root it takes what it may read, and index.txt says what it could not. Passwords, secrets, tokens, private keys
# and the passwords of ICE are replaced by "left-out" before anything leaves a private folder. Addresses and the names of
# rooms and people stay: `jitsilab share` takes those out as well.
# In the environment: JITSILAB_MB, the most of one log (20); JITSILAB_TO, a folder instead of an archive; ROOT, another
# root folder for files (a chroot), while programs are still asked here.

umask 077
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY POSIXLY_CORRECT
R=${ROOT:-}
SEEN=' '

# --- what is secret -------------------------------------------------------------------------------------------------
# Programs for sed. ~ is a control character when they run: it stands between a secret's name and its value. What is no
# secret after all (true, nil, an empty string, a list) loses the mark, the rest loses the value.

write_programs() {
	cat >"$T/keys" <<'END'
s/-----BEGIN [A-Z ]*PRIVATE KEY-----.*-----END [A-Z ]*PRIVATE KEY-----/left-out/g
/-----BEGIN [A-Z ]*PRIVATE KEY-----/,/-----END [A-Z ]*PRIVATE KEY-----/s/.*/left-out/
END
	# A value ends with its line: .env, properties, shell settings, turnserver.conf, compose files.
	cat >"$T/lines" <<'END'
s/^[[:space:]]*([#;][#;[:space:]]*)?(export[[:space:]]+)?(-[[:space:]]*)?["']?[A-Za-z0-9_.-]*(secret|passw|passphrase|credential|_pw|bindpw|(api|app|sdk|access|auth|signing|encryption|private)[_-]?key)[A-Za-z0-9_.-]*["']?[[:space:]]*[=:][[:space:]]*/&~/I
s/^[[:space:]]*([#;][#;[:space:]]*)?(export[[:space:]]+)?(-[[:space:]]*)?["']?([A-Za-z0-9_.-]*(tokens?|[_.-]pwd)|pwd)["']?[[:space:]]*[=:][[:space:]]*/&~/I
s/^[[:space:]]*org\.[A-Za-z0-9_.-]*PASSWORD[[:space:]]+/&~/
s/^[[:space:]]*#*[[:space:]]*-*(user|[a-z]+-userdb|static-auth-secret|cli-password|pkey-pwd)([[:space:]]*=[[:space:]]*|[[:space:]]+)~?/&~/
s/~+/~/g
s/~((true|false|yes|no|on|off|0|1|""|'')[[:space:]]*)$/\1/I
/~.*\\$/{
s/~.*/left-out/
n
s/[^[:space:]].*/left-out/
}
/:[[:space:]]*~[|>][-+0-9]*[[:space:]]*$/{
s/~//
n
s/[^[:space:]].*/left-out/
}
s/(:[[:space:]]*)~([[{])/\1\2/
s/^([[:space:]]*-[[:space:]]*"[^"~]*)~.*"[[:space:]]*$/\1left-out"/
s/^([[:space:]]*-[[:space:]]*'[^'~]*)~.*'[[:space:]]*$/\1left-out'/
s/~".*/"left-out"/
s/~'.*/'left-out'/
s/~.+/left-out/
s/~//g
END
	# Anywhere in a line: Lua, HOCON, JavaScript, nginx, Apache, and logs. What code and logs do each is put in between.
	cat >"$T/first" <<'END'
/[Ss][Ee][Cc][Rr][Ee][Tt]|[Pp][Aa][Ss][Ss]|[Pp][Ww]|[Cc][Rr][Ee][Dd][Ee][Nn][Tt]|[Kk][Ee][Yy]|[Tt][Oo][Kk][Ee][Nn]|[Jj][Ww][Tt]|--[Uu][Ss][Ee][Rr]/!b others
s/((pwd|password|jwt|token)(%3d|=)(&quot;|&apos;|&#3[49];|%22|%27))[A-Za-z0-9+/_.%=-]+/\1left-out/Ig
s/((pwd|password|jwt|token)%3d)[A-Za-z0-9+/_.=-]+/\1left-out/Ig
s/([?&;#][A-Za-z_-]*(pwd|password|secret|token|jwt|pass)=)[^]["'&<>;[:space:]\][^"'&<>;[:space:]\]*/\1left-out/Ig
s/((^|[[:space:]"',([])--?([a-z-]*(passw|secret|token|api-?key)[a-z-]*|user)([[:space:]]+|=)["']?)[^-"'[:space:]][^]"',;[:space:]]*/\1left-out/Ig
s/(((proxy|fastcgi|grpc|uwsgi|scgi)_(set_header|param)|add_header|RequestHeader[[:space:]]+[a-z]+)[[:space:]]+["']?[A-Za-z0-9_-]*(token|secret|api-?key|passw)[A-Za-z0-9_-]*["']?[[:space:]]+)["']?[^]$"';[:space:]][^;]*/\1left-out/I
s/(set[[:space:]]+\$[A-Za-z0-9_]*(token|secret|key|passw|pwd)[A-Za-z0-9_]*[[:space:]]+)[^$;][^;]*/\1left-out/I
s/(secure_link_(md5|secret)[[:space:]]+)[^;]*/\1left-out/I
s/(<(password|secret|token)([[:space:]][^>]*)?>)[^<]+/\1left-out/Ig
s/(roomsecret["'][^>]*>[[:space:]]*<value>)[^<]+/\1left-out/Ig
s/(Token )[^[:space:]]+( not allowed)/\1left-out\2/g
s/(secret|passw|passphrase|credential|bindpw|_pw|(api|app|sdk|access|auth|signing|encryption|private)[_-]?key)[A-Za-z0-9_.-]*(\\*["'`])?]?[[:space:]]*(=>|[=:]+)[[:space:]]*/&~/Ig
s/(tokens?|(^|[^A-Za-z0-9+/])pwd)(\\*["'`])?]?[[:space:]]*(=>|[=:]+)[[:space:]]*/&~/Ig
s/~(true|false|nil|null|none|undefined|yes|no|0|1|left-out)([],;})&<>"'[:space:]\]|$)/\1\2/Ig
s/~([|>][-+0-9]*[[:space:]]*)$/\1/
s/~"""([^"]|"[^"]|""[^"])*"""/"left-out"/g
s/~\[=*\[([^]]|\][^]=])*\]=*\]/"left-out"/g
s/~(\\+["'])[^"'\]+(\\+["'])/\1left-out\2/g
s/~"([^"\]|\\.)+"([[:space:]]*(\.\.|\+)[[:space:]]*("[^"]*"|'[^']*'|[A-Za-z_.]+))*/"left-out"/g
s/~'([^'\]|\\.)+'([[:space:]]*(\.\.|\+)[[:space:]]*("[^"]*"|'[^']*'|[A-Za-z_.]+))*/'left-out'/g
s/~`[^`]+`/"left-out"/g
s/~(["'`])[^"'`]+$/\1left-out\1/
END
	cat >"$T/code" <<'END'
s/~[A-Za-z_.:]+\([^()]*\)/"left-out"/g
s/^([[:space:]]*[^[:space:]~]+[[:space:]]*[=:]+[[:space:]]*)~[^]["'`{}(),;[:space:]][^,;{}]*/\1"left-out"/
s/~[^]["'`{}(),;[:space:]][^,;{}[:space:]]*/"left-out"/g
END
	cat >"$T/log" <<'END'
s/~[^]["'`{}(),;<>&[:space:]\][^]["'`{}(),;<>&[:space:]\]*/left-out/g
END
	cat >"$T/last" <<'END'
s/~("""|\[=*\[).*/"left-out"/
s/~(["'`])[^"'`].*/\1left-out\1/
: others
s/(((proxy|fastcgi|grpc|uwsgi|scgi)_(set_header|param)|RequestHeader[[:space:]]+[a-z]+)[[:space:]]+["']?(proxy-)?(authorization|cookie)["']?[[:space:]]+)["']?[^]$"';[:space:]][^;]*/\1left-out/I
s/(authorization["']?[:=][[:space:]]*["']?(basic|bearer|digest)[[:space:]]+)[^"',;[:space:]]+/\1left-out/Ig
s/(<(auth|response|challenge|success)([[:space:]][^>]*)?>)[^<]+/\1left-out/g
s#(://[^]/[:space:]:@"']*:)[^/[:space:]@"']+@#\1left-out@#g
s#(dsn["']?[[:space:]]*[=:][[:space:]]*["']?https?://)[^@/]+@#\1left-out@#Ig
s#(inline:)[A-Za-z0-9+/=]{20,}#\1left-out#g
s/eyJ[A-Za-z0-9_=-]{6,}(\.|%2[eE])[A-Za-z0-9_=-]+((\.|%2[eE])[A-Za-z0-9_=-]*)?/left-out/g
s#(^|[^A-Za-z0-9+/_-])eyJ[A-Za-z0-9_=-]{16,}#\1left-out#g
s/~//g
END
	cat "$T/keys" >"$T/keys.sed"
	cat "$T/keys" "$T/first" "$T/code" "$T/last" | tr '~' '\001' >"$T/code.sed"
	cat "$T/keys" "$T/first" "$T/log" "$T/last" | tr '~' '\001' >"$T/log.sed"
	cat "$T/keys" "$T/lines" "$T/first" "$T/log" "$T/last" | tr '~' '\001' >"$T/lines.sed"
}

checked() { # whether the sed of this machine understands them: nothing is taken otherwise
	printf 'A_PASSWORD=Zq7,;w x\n' | clean lines | grep -q '^A_PASSWORD=left-out$' || return 1
	printf 'x { PassWord = "Zq7 w", a = 1 } # /a?pwd=Zq7&b=1 eyJhbGciOiJ.eyJhbGc.x\n' | clean code >"$T/new"
	printf "<t pwd='Zq7+w' u='1'/> /a?pwd=Zq7&b=1 eyJhbGciOiJ.eyJhbGc.x\n" | clean log >>"$T/new"
	! grep -qE 'Zq7|eyJ' "$T/new" && [ "$(grep -c 'b=1 left-out' "$T/new")" = 2 ]
}

# --- taking one thing, and saying so --------------------------------------------------------------------------------

say() { printf '%s\n' "$*" | tr -d '\000-\010\013-\037' >>"$D/index.txt"; }
miss() { say "not taken: $1: $2"; }
clean() { tr -d '\000\001' | sed -E -f "$T/$1.sed"; } # PROGRAM, a filter
below() { printf '%s' "${1#"$R"}"; }                   # a path without ROOT
size() { wc -c <"$1" | tr -d ' '; }

put() { # NAME SOURCE: what stands in $T/new goes to the collection, unless it is empty
	if [ ! -s "$T/new" ]; then
		if [ -n "${3:-}" ]; then miss "$2" "$3"; else say "empty: $2"; fi
		return 1
	fi
	mkdir -p "$D/$(dirname "$1")"
	cat "$T/new" >"$D/$1"
	say "taken: $1 <- $2 ($(size "$D/$1") bytes)"
}

folder() { # says of a folder that it is there and may not be read
	if [ -d "$1" ] && { [ ! -r "$1" ] || [ ! -x "$1" ]; }; then miss "$(below "$1")" "no permission to read it"; fi
}

setting() { # FILE PROGRAM [NAME]: a file of configuration
	[ -f "$1" ] || { [ -e "$1" ] && miss "$(below "$1")" "not a plain file"; return 1; }
	case $SEEN in *" $1 "*) return 1 ;; esac
	SEEN="$SEEN$1 "
	case $1 in *..*) miss "$(below "$1")" "its path leads upwards"; return 1 ;; esac
	[ -r "$1" ] || { miss "$(below "$1")" "no permission to read it"; return 1; }
	[ "$(size "$1")" -le 1000000 ] || { miss "$(below "$1")" "larger than 1 MB"; return 1; }
	clean "$2" <"$1" >"$T/new"
	put "facts${3:-$(below "$1")}" "$(below "$1")"
}

certificate() { # the certificates of a PEM file, never a key
	[ -f "$1" ] || return 1
	case $SEEN in *" $1 "* | *..*) return 1 ;; esac
	SEEN="$SEEN$1 "
	[ -r "$1" ] || { miss "$(below "$1")" "no permission to read it"; return 1; }
	sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$1" | clean keys | head -c 200000 >"$T/new"
	put "facts$(below "$1")" "$(below "$1")" "no certificate in it"
}

limit() { # runs a program for a minute at most, with nothing to read
	# shellcheck disable=SC2086
	$LIMIT "$@" </dev/null
}

ask() { # NAME PROGRAM...: what a program prints
	name=$1
	shift
	command -v "$1" >/dev/null 2>&1 || { miss "$*" "no such program here"; return 1; }
	limit "$@" 2>"$T/err" | clean log | head -c 4000000 >"$T/new"
	put "$name" "$*" "$(why)"
}

why() { grep . "$T/err" | head -n 1 | cut -c 1-200; } # the first thing that a program complained of

cut_log() { # NAME SOURCE: standard input, its newest part, without secrets
	tail -c "$MAX" >"$T/raw"
	[ "$(du -sk "$D/logs" | cut -f1)" -lt $((MAX / 100)) ] || { miss "$2" "there are more than $((MAX * 10)) bytes of logs already"; return 1; }
	if [ "$(size "$T/raw")" -ge "$MAX" ]; then
		say "cut: $2: only its last $MAX bytes"
		sed 1d "$T/raw" | clean log >"$T/new"
	else
		clean log <"$T/raw" >"$T/new"
	fi
	put "$1" "$2" "$(why)"
}

log() { # FILE: a log, also packed, that was written to in the span
	case $SEEN in *" $1 "* | *..*) return 1 ;; esac
	SEEN="$SEEN$1 "
	[ -f "$1" ] || return 1
	[ -r "$1" ] || { miss "$(below "$1")" "no permission to read it"; return 1; }
	[ -n "$(find "$1" -mmin "-$((HOURS * 60))" 2>/dev/null)" ] || { miss "$(below "$1")" "older than $HOURS hours"; return 1; }
	case $1 in
		*.gz) packed=gzip ;; *.xz) packed=xz ;; *.bz2) packed=bzip2 ;; *.zst) packed=zstd ;; *) packed= ;;
	esac
	to=logs$(below "$1")
	: >"$T/err"
	if [ -z "$packed" ]; then
		tail -c "$MAX" "$1" | cut_log "$to" "$(below "$1")"
	elif command -v "$packed" >/dev/null 2>&1; then
		# shellcheck disable=SC2094
		"$packed" -dc <"$1" 2>"$T/err" | cut_log "${to%.*}" "$(below "$1")"
	else
		miss "$(below "$1")" "no $packed to unpack it"
	fi
}

# --- configuration --------------------------------------------------------------------------------------------------

includes() { # KIND FILE: files that a file of configuration takes in, as patterns
	case $1 in
		nginx) sed -n 's/^[^#]*include[[:space:]]\{1,\}["'\'']\{0,1\}\([^;"'\'']*\)["'\'']\{0,1\}[[:space:]]*;.*/\1/p' "$2" ;;
		prosody) sed -n 's/^[[:space:]]*[Ii]nclude[[:space:](]*["'\'']\([^"'\'']*\)["'\''].*/\1/p' "$2" ;;
		apache) sed -n 's/^[[:space:]]*[Ii]nclude\([Oo]ptional\)\{0,1\}[[:space:]]\{1,\}["'\'']\{0,1\}\([^"'\'']*\).*/\2/p' "$2" ;;
	esac
}

shown() { # KIND FILE: certificates that a file of configuration names
	case $1 in
		nginx) sed -n 's/^[[:space:]]*ssl_certificate[[:space:]]\{1,\}["'\'']\{0,1\}\(\/[^;"'\'']*\).*/\1/p' "$2" ;;
		prosody) sed -n 's/^.*certificate[[:space:]]*=[[:space:]]*["'\'']\(\/[^"'\'']*\)["'\''].*/\1/p' "$2" ;;
		apache) sed -n 's/^[[:space:]]*SSLCertificateFile[[:space:]]\{1,\}["'\'']\{0,1\}\(\/[^"'\'']*\).*/\1/p' "$2" ;;
		turn) sed -n 's/^[[:space:]]*cert[[:space:]]*=[[:space:]]*\(\/.*\)/\1/p' "$2" ;;
	esac
}

tree() { # KIND HOME FILE...: files and all they take in; relative names are below HOME
	kind=$1 home=$2
	shift 2
	: >"$T/queue" # grows while it is read
	for f in "$@"; do printf '%s\n' "$f" >>"$T/queue"; done
	count=0
	# shellcheck disable=SC2094
	while read -r f; do
		count=$((count + 1))
		[ "$count" -le 300 ] || { miss "$(below "$f")" "more than 300 files of $kind"; break; }
		setting "$f" code || continue
		shown "$kind" "$f" >>"$T/certificates"
		# shellcheck disable=SC2094
		includes "$kind" "$f" | while read -r p; do
			case $p in */mime.types | mime.types | *_params | *koi-* | *win-utf | *.load) continue ;; esac
			case $p in /*) p=$R$p ;; *) p=$home/$p ;; esac
			(IFS='' && for g in $p; do [ -f "$g" ] && printf '%s\n' "$g"; done)
		done >>"$T/queue"
	done <"$T/queue"
}

configuration() {
	for d in /etc/prosody /etc/jitsi /etc/jitsi/meet /etc/jitsi/videobridge /etc/jitsi/jicofo /etc/nginx /etc/coturn; do
		folder "$R$d"
	done
	tree prosody "$R/etc/prosody" "$R"/etc/prosody/prosody.cfg.lua "$R"/etc/prosody/conf.d/*.cfg.lua
	tree nginx "$R/etc/nginx" "$R"/etc/nginx/nginx.conf "$R"/etc/nginx/sites-enabled/* "$R"/etc/nginx/conf.d/*.conf \
		"$R"/etc/nginx/modules-enabled/*.conf
	tree apache "$R/etc/apache2" "$R"/etc/apache2/apache2.conf "$R"/etc/apache2/sites-enabled/* \
		"$R"/etc/apache2/conf-enabled/* "$R"/etc/httpd/conf/httpd.conf "$R"/etc/httpd/conf.d/*.conf
	for f in "$R"/etc/jitsi/*/*.conf "$R"/etc/jitsi/meet/*-config.js "$R"/etc/jitsi/meet/config.js \
		"$R"/etc/jitsi/meet/*interface_config.js "$R"/usr/share/jitsi-meet/interface_config.js "$R"/etc/haproxy/haproxy.cfg; do
		setting "$f" code
	done
	for f in "$R"/etc/jitsi/*/sip-communicator.properties "$R"/etc/jitsi/*/config "$R"/etc/turnserver.conf \
		"$R"/etc/coturn/turnserver.conf "$R"/etc/default/coturn; do
		setting "$f" lines
	done
	for f in "$R"/etc/turnserver.conf "$R"/etc/coturn/turnserver.conf; do
		[ -r "$f" ] && shown turn "$f" >>"$T/certificates"
	done
	for f in "$R"/etc/jitsi/meet/*.crt "$R"/etc/prosody/certs/*.crt "$R"/etc/letsencrypt/live/*/cert.pem \
		"$R"/etc/coturn/certs/*.pem; do
		certificate "$f"
	done
	while read -r f; do certificate "$R$f"; done <"$T/certificates"
	setting "$R/etc/hosts" code /hosts.txt
	for f in prosody/prosody.cfg.lua jitsi/videobridge/jvb.conf jitsi/jicofo/jicofo.conf turnserver.conf nginx/nginx.conf; do
		[ -e "$R/etc/$f" ] || say "not there: /etc/$f"
	done
}

domain() { # the name of the deployment: as given, else as its files say it
	[ -z "$DOMAIN" ] || return 0
	for f in "$R"/etc/jitsi/meet/*-config.js; do
		case $f in *interface*) ;; *) [ -f "$f" ] && f=${f##*/} && DOMAIN=${f%-config.js} && return 0 ;; esac
	done
	DOMAIN=$(find "$D/facts/docker" -name .env -exec sed -n 's#^PUBLIC_URL=["'\'']\{0,1\}https\{0,1\}://\([A-Za-z0-9.-]*\).*#\1#p' {} + 2>/dev/null | head -n 1)
}

machine() {
	ask facts/ss-lntup.txt ss -lntup || ask facts/netstat-tulpn.txt netstat -tulpn # ss -lntup, or what is older
	ask facts/ip-addr.txt ip -br addr || ask facts/ip-addr.txt ip addr
	ask facts/ip-route.txt ip route
	ask facts/nftables.txt nft list ruleset
	ask facts/iptables-save.txt iptables-save -c
	ask facts/ip6tables-save.txt ip6tables-save -c
	command -v ufw >/dev/null 2>&1 && ask facts/ufw-status.txt ufw status verbose
	command -v firewall-cmd >/dev/null 2>&1 && ask facts/firewall-cmd.txt firewall-cmd --list-all-zones
	{ limit ip -s -s link; cat /proc/net/snmp /proc/net/netstat; } 2>/dev/null >"$T/new"
	put facts/counters.txt "ip -s -s link, /proc/net/snmp, /proc/net/netstat"
	if [ -n "$DOMAIN" ]; then
		ask facts/getent-ahosts.txt getent ahosts "$DOMAIN"
	else
		miss "getent ahosts DOMAIN" "the name of the deployment is not known: give it as the first argument"
	fi
	{
		sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\).*/system: \1/p' "$R/etc/os-release"
		# shellcheck disable=SC2016
		limit dpkg-query -W -f '${Package} ${Version}\n' 'jitsi-*' jicofo jigasi jibri prosody 'lua5*' coturn nginx apache2 openssl \
			haproxy docker-ce docker.io podman | grep ' .'
		command -v rpm && limit rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\n' | grep -E '^(jitsi|jicofo|prosody|coturn|nginx|httpd|openssl|docker|podman)'
		for program in jvb jicofo; do
			[ -s "$D/rest/$program-about-version.json" ] || continue
			printf '%s ' "$program" | sed 's/jvb/bridge/; s/jicofo/focus/'
			tr -d '\n' <"$D/rest/$program-about-version.json" && echo
		done
	} 2>/dev/null | grep -v '^/' >"$T/new"
	put facts/versions.txt "dpkg-query, rpm, /about/version"
}

# --- containers -----------------------------------------------------------------------------------------------------

inspect() { limit "$DOCKER" inspect -f "$2" "$1" 2>/dev/null; }

inside() { # CONTAINER PATH NAME PROGRAM: a file of a container, running or not
	rm -rf "$T/file"
	limit "$DOCKER" cp -L "$1:$2" "$T/file" >/dev/null 2>&1 || limit "$DOCKER" cp "$1:$2" "$T/file" >/dev/null 2>&1 \
		|| limit "$DOCKER" exec "$1" cat "$2" >"$T/file" 2>/dev/null || return 1
	if [ -d "$T/file" ]; then
		for f in "$T"/file/*.lua "$T"/file/*.conf "$T"/file/site-confs/*; do
			[ -f "$f" ] || continue
			clean code <"$f" | head -c 1000000 >"$T/new"
			put "$3/${f#"$T"/file/}" "$1:$2/${f#"$T"/file/}"
		done
	elif [ -s "$T/file" ]; then
		clean "$4" <"$T/file" | head -c 1000000 >"$T/new"
		put "$3" "$1:$2"
	fi
}

containers() {
	DOCKER=docker
	command -v docker >/dev/null 2>&1 || DOCKER=podman
	command -v "$DOCKER" >/dev/null 2>&1 || { say "not there: docker"; compose_files here "$HOME_FOLDER"; return; }
	ask facts/docker-ps.txt "$DOCKER" ps -a --no-trunc
	# Of the containers those that belong to the deployment: by image or name, and all of the same compose projects.
	limit "$DOCKER" ps -a --format '{{.Names}}|{{.Image}}|{{.Label "com.docker.compose.project"}}|{{.Label "com.docker.compose.service"}}' \
		2>/dev/null >"$T/every"
	[ -s "$T/every" ] || limit "$DOCKER" ps -a --format '{{.Names}}|{{.Image}}||' 2>/dev/null >"$T/every"
	grep -iE 'jitsi|jvb|jicofo|prosody|jigasi|jibri|coturn|turnserver' "$T/every" >"$T/named"
	cut -d'|' -f3 "$T/named" | sort -u | grep . >"$T/projects"
	{
		cat "$T/named"
		grep -iE '^[^|]*\|[^|]*(nginx|traefik|caddy|haproxy|apache|httpd)' "$T/every"
		while read -r p; do grep -F "|$p|" "$T/every"; done <"$T/projects"
	} | sort -u | head -n 40 >"$T/containers"
	[ -s "$T/containers" ] || { say "not there: containers of Jitsi Meet"; compose_files here "$HOME_FOLDER"; return; }
	while read -r project; do compose "$project"; done <"$T/projects"
	while IFS='|' read -r c _ project service; do container "$c" "${project:-$c}" "${service:-$c}"; done <"$T/containers"
}

compose_files() { # PROJECT FOLDER
	folder "$2"
	for f in "$2"/.env "$2"/docker-compose*.y*ml "$2"/compose*.y*ml "$2"/jibri.yml "$2"/jigasi.yml "$2"/custom-*; do
		case $f in *.conf | *.lua | *.js) program=code ;; *) program=lines ;; esac
		setting "$f" "$program" "/docker/$1/${f##*/}"
	done
}

compose() { # PROJECT: its files and its logs
	c=$(grep -F "|$1|" "$T/containers" | head -n 1 | cut -d'|' -f1)
	at=$(inspect "$c" '{{index .Config.Labels "com.docker.compose.project.working_dir"}}')
	at=${at:+$R$at}
	if [ -n "$at" ] && [ -d "$at" ]; then
		compose_files "$1" "$at"
		inspect "$c" '{{index .Config.Labels "com.docker.compose.project.config_files"}}' | tr ',' '\n' >"$T/files"
		while read -r f; do
			case $f in /*) f=$R$f ;; *) f=$at/$f ;; esac
			setting "$f" lines "/docker/$1/${f##*/}"
		done <"$T/files"
	else
		miss "compose files of $1" "their folder ${at:-is not known} is not here"
	fi
	{
		limit "$DOCKER" compose -p "$1" logs --no-color --timestamps --since "${HOURS}h" 2>"$T/err" \
			|| { [ -d "$at" ] && cd "$at" && limit docker-compose -p "$1" logs --no-color -t --since "${HOURS}h" 2>/dev/null; }
	} | cut_log "logs/docker/$1-compose.log" "$DOCKER compose -p $1 logs --no-color --timestamps --since ${HOURS}h" \
		&& printf '%s\n' "$1" >>"$T/logged"
}

container() { # NAME PROJECT SERVICE: the files that its image made of its settings, and its log
	to=facts/docker/$2/$3
	got=
	for p in nginx config.js interface_config.js prosody.cfg.lua conf.d jvb.conf custom-jvb.conf jicofo.conf custom-jicofo.conf \
		custom-config.js custom-interface_config.js sip-communicator.properties turnserver.conf; do
		case $p in *.properties | turn*) program=lines ;; *) program=code ;; esac
		inside "$1" "/config/$p" "$to/$p" "$program" && got=yes
	done
	if [ -z "$got" ]; then
		for p in /etc/coturn/turnserver.conf /etc/turnserver.conf /etc/prosody/prosody.cfg.lua /etc/prosody/conf.d \
			/etc/jitsi/videobridge /etc/jitsi/jicofo /etc/nginx/nginx.conf /etc/nginx/conf.d /etc/nginx/sites-enabled; do
			case $p in */turn*) program=lines ;; *) program=code ;; esac
			inside "$1" "$p" "$to$p" "$program"
		done
	fi
	if [ ! -f "$D/facts/docker/$2/.env" ]; then
		inspect "$1" '{{range .Config.Env}}{{println .}}{{end}}' | clean lines >"$T/new"
		put "$to/env.txt" "$DOCKER inspect $1"
	fi
	grep -qxF -e "$2" "$T/logged" && return
	: >"$T/err"
	limit "$DOCKER" logs --timestamps --since "${HOURS}h" "$1" 2>&1 \
		| cut_log "logs/docker/$2-$3.log" "$DOCKER logs --timestamps --since ${HOURS}h $1"
}

# --- logs -----------------------------------------------------------------------------------------------------------

logs() {
	for d in jitsi prosody nginx apache2 httpd coturn turnserver haproxy; do
		d=$R/var/log/$d
		[ -d "$d" ] || continue
		folder "$d"
		find "$d" -type f 2>/dev/null | sort >"$T/found"
		while read -r f; do
			case ${f##*/} in
				gc.log* | *.hprof* | *.pcap* | *.core) miss "$(below "$f")" "not a log of calls" ;;
				*log* | *.err* | *.info* | *.out* | *.txt*) log "$f" ;;
				*) miss "$(below "$f")" "not a log by its name" ;;
			esac
		done <"$T/found"
	done
	for f in "$R"/var/log/turn*.log* "$R"/var/log/coturn*.log* "$R"/var/tmp/turn*.log "$R"/var/log/prosody.* \
		$(sed -n 's/^[[:space:]]*log-file[[:space:]]*=[[:space:]]*\(\/[^[:space:]]*\).*/\1/p' "$R"/etc/turnserver.conf "$R"/etc/coturn/turnserver.conf 2>/dev/null); do
		case $f in "$R"/*) ;; *) f=$R$f ;; esac
		log "$f"
	done
	if command -v journalctl >/dev/null 2>&1; then
		for unit in jitsi-videobridge2 jitsi-videobridge jicofo prosody nginx apache2 coturn jigasi jibri; do
			limit journalctl -q --no-pager -o short-iso --since "-${HOURS}h" -u "$unit" 2>"$T/err" \
				| cut_log "logs/journal-$unit.txt" "journalctl -u $unit"
		done
		limit journalctl -q --no-pager -o short-iso --since "-${HOURS}h" -k 2>"$T/err" | grep -iE "$KERNEL" \
			| cut_log logs/journal-kernel.txt "journalctl -k"
	else
		say "not there: journalctl"
		: >"$T/err"
		for f in "$R"/var/log/syslog "$R"/var/log/messages "$R"/var/log/kern.log; do
			[ -r "$f" ] && grep -iE "turnserver|coturn|jvb|jicofo|prosody|nginx|$KERNEL" "$f" | cut_log "logs$(below "$f")" "$(below "$f")"
		done
	fi
}

KERNEL='out of memory|oom|killed process|segfault|conntrack: table full|UFW BLOCK'

# --- answers of bridge and focus ------------------------------------------------------------------------------------

get() { # URL FILE: prints the HTTP status, 000 where nobody answers
	if command -v curl >/dev/null 2>&1; then
		curl -s -m 10 -o "$2" -w '%{http_code}' "$1" 2>/dev/null </dev/null || :
	elif command -v wget >/dev/null 2>&1; then
		tries=
		wget --help 2>&1 | grep -q -e --tries && tries='-t 1'
		# shellcheck disable=SC2086
		limit wget -S -T 10 $tries -O "$2" "$1" 2>"$T/err" || :
		sed -n 's/.*HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' "$T/err" | tail -n 1 | grep . || printf 000
	else
		printf 000
	fi
}

answers() { # PREFIX BASE PATH=FILE...: true where somebody answered
	prefix=$1 base=$2 any=1
	shift 2
	for pair in "$@"; do
		: >"$T/answer"
		status=$(get "http://$base${pair%%>*}" "$T/answer")
		: "${status:=000}"
		printf '%s %s GET http://%s -> %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$status" "$base${pair%%>*}" "$prefix-${pair##*>}" >>"$D/rest/index.txt"
		if [ "$status" = 000 ]; then
			[ "$any" = 0 ] || { miss "http://$base" "nobody answers there"; return 1; }
			continue
		fi
		any=0
		head -c 20000000 "$T/answer" | clean code >"$D/rest/$prefix-${pair##*>}"
	done
	return "$any"
}

bridge() {
	answers "$1" "$2" '/about/version>about-version.json' '/about/health>about-health.txt' '/colibri/stats>colibri-stats.json' \
		'/debug?full=true>debug-full.json' '/metrics>metrics.txt'
}

focus() {
	answers "$1" "$2" '/about/version>about-version.json' '/about/health>about-health.txt' '/stats>stats.json' \
		'/debug?full=true>debug-full.json' '/metrics>metrics.txt'
}

rest() {
	mkdir -p "$D/rest"
	command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 || { miss "answers of bridge and focus" "neither curl nor wget"; return; }
	bridge jvb 127.0.0.1:8080 || of_containers jvb bridge 8080
	focus jicofo 127.0.0.1:8888 || of_containers jicofo focus 8888
}

of_containers() { # PROGRAM FUNCTION PORT: the same at the addresses of containers, where the machine itself does not answer
	[ -s "$T/containers" ] || return
	number=
	grep -i "$1" "$T/containers" | cut -d'|' -f1 >"$T/asked"
	while read -r c; do
		for address in $(inspect "$c" '{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}'); do
			"$2" "$1$number" "$address:$3" && number=$((${number:-1} + 1)) && break
		done
	done <"$T/asked"
}

# --------------------------------------------------------------------------------------------------------------------

main() {
	DOMAIN=${1:-}
	HOURS=${2:-24}
	case $HOURS in '' | *[!0-9]*) echo "HOURS is a number: collect.sh [DOMAIN [HOURS]]" >&2; exit 2 ;; esac
	case $DOMAIN in -* | *[!A-Za-z0-9.:_-]*) echo "DOMAIN is a name: collect.sh [DOMAIN [HOURS]]" >&2; exit 2 ;; esac
	case ${JITSILAB_MB:-} in *[!0-9]*) echo "JITSILAB_MB is a number" >&2; exit 2 ;; esac
	MAX=$((${JITSILAB_MB:-20} * 1000000))
	HOME_FOLDER=$PWD
	W=$(mktemp -d) || exit 1
	trap 'rm -rf "$W"' EXIT
	trap 'exit 130' INT TERM HUP
	T=$W/work D=$W/collection
	mkdir "$T" "$D" "$D/facts" "$D/logs"
	: >"$T/certificates" && : >"$T/logged" && : >"$T/containers" && : >"$T/err"
	LIMIT=
	if timeout 1 true 2>/dev/null; then LIMIT='timeout 60'; fi
	write_programs
	checked 2>"$T/err" || { echo "the sed of this machine cannot leave secrets out: $(why)" >&2; exit 1; }
	say "collected: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
	say "zone: $(date +%z)"
	say "span: $HOURS hours, of one log at most $MAX bytes"
	[ -z "$R" ] || say "root folder of files: $R"
	say "as: $(id -un 2>/dev/null || id -u)"
	[ "$(id -u)" = 0 ] || say "not root: what only root may read is missing"
	configuration
	containers
	domain
	rest
	machine
	logs
	missing=$(grep -c '^not taken' "$D/index.txt")
	if [ -n "${JITSILAB_TO:-}" ]; then
		mkdir -p "$JITSILAB_TO" && cp -R "$D/." "$JITSILAB_TO" && echo "$JITSILAB_TO"
	else
		(cd "$D" && tar -cf - facts logs rest index.txt) | gzip -c >"$W/facts.tar.gz" || exit 1
		rm -f "$HOME_FOLDER/facts.tar.gz"
		mv "$W/facts.tar.gz" "$HOME_FOLDER/facts.tar.gz" || exit 1
		[ -z "${SUDO_UID:-}" ] || chown -h "$SUDO_UID:${SUDO_GID:-0}" "$HOME_FOLDER/facts.tar.gz" 2>/dev/null
		echo "$HOME_FOLDER/facts.tar.gz"
	fi
	[ "$missing" = 0 ] || echo "$missing things could not be taken; index.txt says which, and why" >&2
}

main "$@" </dev/null
