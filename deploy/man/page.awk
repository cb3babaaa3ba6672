# Turns the output of generate-manual into a page without mandoc warnings: keeps the format of examples, makes a section
# of the exit codes, and lists common options once. others: the other commands.

function say(text,  lines, count, i) {
  # Starts a line for each sentence, and avoids lines that begin like a macro.
  gsub(/\. /, ".\n", text)
  count = split(text, lines, "\n")
  for (i = 1; i <= count; i++) {
    if (lines[i] ~ /^['.]/) printf "\\&"
    print lines[i]
  }
}

function end_example() {
  if (example) print ".Ed"
  example = 0
}

/^\.Bl/ { depth++ }
/^\.El/ { depth-- }
skipping && (depth < skipping || depth == skipping && /^\.It/) { skipping = 0 }
/^\.It Em help$/ { skipping = depth }
skipping { next }

# The options common to all commands, except those of the command itself.
/^\.It Fl (-version|h , -help)$/ && depth > 1 { common = 1; next }
common && /^\.(It|El)/ { common = 0 }
common { next }

/^Exit codes:$/ { listing = 1; next }
listing && /^  [0-9]+ / {
  codes = codes ".It " $1 "\n"
  sub(/^  [0-9]+ +/, "")
  codes = codes $0 "\n"
  next
}
{ listing = 0 }

/^$/ { gap = 1; next }
/^  / {
  if (!example) print ".Bd -literal -offset indent"
  example = 1
  gap = 0
  sub(/^  /, "")
  print
  next
}
/^\.Pp$/ { gap = 1; next }
/^\./ { end_example(); gap = 0 }
/^\.Nd/ { sub(/\."$/, "\"") }
/^\.Sh "EXIT STATUS"/ {
  print ".Sh ENVIRONMENT"
  print ".Bl -tag -width Ds"
  print ".It Ev TERM"
  print "If it is"
  print ".Dq dumb"
  print "or standard error is not a terminal, progress is printed in plain lines."
  print ".It Ev NO_COLOR"
  print "Disables colours."
  print ".El"
}
/^\.Ex/ {
  printf ".Bl -tag -width Ds\n%s.El\n", codes
  print ".Sh SEE ALSO"
  count = split(others, names, " ")
  for (i = 1; i <= count; i++) print ".Xr " names[i] " 1" (i < count ? " ," : "")
  next
}
/^\./ { print; next }
{
  end_example()
  if (gap) print ".Pp"
  gap = 0
  say($0)
}
