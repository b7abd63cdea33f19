// Reads conditions such as "sc_rmsd < 2 and (plddt > 70 or iptm > 0.5)", in the language of --filter.
// structdiffFilter(text, names) gives a function of a design's columns, or throws an Error that says what is wrong.
function structdiffFilter(text, names) {
  const words = text.match(/\s*(<=|>=|==|!=|[<>()+\-*\/,]|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[A-Za-z_]\w*|"[^"]*"|'[^']*'|\S)/gi) || [];
  const tokens = words.map((word) => word.trim());
  let place = 0;
  const peek = () => tokens[place];
  const take = (wanted) => (tokens[place] === wanted ? (place += 1, true) : false);
  const functions = { abs: Math.abs, min: Math.min, max: Math.max };
  const missing = Symbol("missing");

  function either() {
    const parts = [both()];
    while (take("or")) parts.push(both());
    return parts.length === 1 ? parts[0] : (row) => parts.some((part) => part(row) === true);
  }
  function both() {
    const parts = [negation()];
    while (take("and")) parts.push(negation());
    return parts.length === 1 ? parts[0] : (row) => parts.every((part) => part(row) === true);
  }
  function negation() {
    if (!take("not")) return comparison();
    const inner = negation();
    return (row) => { const value = inner(row); return value === missing ? missing : !value; };
  }
  const compared = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
    "==": (a, b) => a === b, "!=": (a, b) => a !== b,
  };
  function comparison() {
    const first = sum();
    const rest = [];
    while (peek() in compared) {
      const operator = compared[tokens[place++]];
      rest.push([operator, sum()]);
    }
    if (!rest.length) return first;
    return (row) => {
      let left = first(row);
      for (const [operator, next] of rest) {
        const right = next(row);
        if (left === missing || right === missing) return missing;
        if (!operator(left, right)) return false;
        left = right;
      }
      return true;
    };
  }
  function chain(next, operators) {
    let left = next();
    while (peek() in operators) {
      const [operator, one, other] = [operators[tokens[place++]], left, next()];
      left = (row) => {
        const [a, b] = [one(row), other(row)];
        return a === missing || b === missing ? missing : operator(a, b);
      };
    }
    return left;
  }
  const sum = () => chain(product, { "+": (a, b) => a + b, "-": (a, b) => a - b });
  const product = () => chain(sign, { "*": (a, b) => a * b, "/": (a, b) => a / b });
  function sign() {
    if (!take("-")) { take("+"); return atom(); }
    const inner = sign();
    return (row) => { const value = inner(row); return value === missing ? missing : -value; };
  }
  function atom() {
    const token = tokens[place++];
    if (token === undefined) throw new Error("the filter ends too early");
    if (token === "(") {
      const inner = either();
      if (!take(")")) throw new Error("a bracket is not closed");
      return inner;
    }
    if (/^[\d.]/.test(token)) { const number = Number(token); return () => number; }
    if (/^["']/.test(token)) { const word = token.slice(1, -1); return () => word; }
    if (token === "True" || token === "False") return () => token === "True";
    if (!/^[A-Za-z_]/.test(token)) throw new Error(`“${token}” is not understood`);
    if (Object.hasOwn(functions, token)) {
      if (!take("(")) throw new Error(`${token} needs brackets`);
      const values = [sum()];
      while (take(",")) values.push(sum());
      if (!take(")")) throw new Error("a bracket is not closed");
      return (row) => {
        const found = values.map((value) => value(row));
        return found.includes(missing) ? missing : functions[token](...found);
      };
    }
    if (!names.includes(token)) throw new Error(`there is no column ${token}`);
    return (row) => (row[token] === null || row[token] === undefined ? missing : row[token]);
  }
  const whole = either();
  if (place < tokens.length) throw new Error(`“${tokens[place]}” is not understood`);
  return (row) => whole(row) === true;
}
