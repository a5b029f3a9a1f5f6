"""The words that tell a verification code from other numbers, in the languages agents meet.

Written for English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Japanese and
Chinese, with the words for "code" of some more. Lower case; `code_finder` compares so.
"""

# What a code is called. A number that one of these names is a code.
CODE_WORDS = (
    # The languages with a `code` of their own share the stem, alone and as the end of a compound:
    # Bestätigungscode, verificatiecode, passcode.
    r"(?!(?:post|bar|en|de|uni|trans|promo|geo|qr|source|zip|kortings|actie)code)[a-zäöüß]*code[sn]?",
    r"c[oó]digos?",
    r"codici?",
    r"codice",
    r"kod(?:u|em|y|zie|en)?",
    r"[a-zåäöæø]*kode[nr]?",
    r"[a-zåäö]+kod(?:en)?",
    r"k[oó]d(?:u|em)?",
    r"код(?:а|ом|у|е)?",
    r"otp",
    r"totp",
    r"(?:m|sms|push|chip|photo|i|e|qr)?[- ]?tan",
    r"(?:aktivierungs|sicherheits|freischalt|zugangs|anmelde|einmal)schlüssel",
    r"pin(?:[- ]?(?:code|number|nummer))?",
    r"(?:one|single)[- ]?time[- ](?:pass(?:word|phrase|code)?|pin|key)",
    r"verification number",
    r"(?:temporary|initial|single[- ]use) (?:password|passcode|pin)",
    r"palavra[- ]chave|senha",
    r"token",
    r"security key",
    r"einmal(?:ige[sn]?)?[- ]?(?:passwort|kennwort|pin|schlüssel)s?",
    r"freischalt(?:ungs)?nummer",
    r"bestätigungsnummer",
    r"sicherheitsnummer",
    r"mot de passe (?:à usage unique|temporaire|unique|provisoire)",
    r"numéro de (?:vérification|confirmation)",
    r"clave(?: (?:din[aá]mica|temporal|de un solo uso|de acceso|de seguridad|de verificaci[oó]n))?",
    r"contraseña (?:de un solo uso|temporal|de uso único)",
    r"password (?:temporanea|monouso|usa e getta)",
    r"pin temporaneo",
    r"(?:senha|palavra[- ]passe) (?:tempor[aá]ria|de uso [uú]nico|única|descart[aá]vel)",
    r"chave de (?:acesso|seguran[cç]a)",
    r"eenmalig[e]? (?:wachtwoord|toegangscode|pincode)",
    r"has(?:ł|l)[oa](?:em)? jednorazow(?:e|ego|ym)",
    r"jednorazow(?:e|ego|ym) has(?:ł|l)(?:o|a|em)",
    r"engångskod(?:en)?",
    r"doğrulama kodu(?:nuz)?",
    r"şifreniz",
    r"(?:認証|確認|検証|承認|暗証|照合)(?:用)?(?:番号|コード|キー)",
    r"コード",
    r"ワンタイム(?:パスワード|パス|コード|pin)",
    r"パスコード",
    r"(?:验证|驗證|校验|校驗|确认|確認|取件|提货|动态|動態|安全|认证|認證|授权|授權|激活|登录|登錄|登入|随机|检验|識別|识别)(?:密)?(?:码|碼)",
    r"(?:动态|動態|一次性|临时|臨時)(?:密码|密碼|口令)",
    r"(?:短信|手机|手機)?口令",
    r"代码",
    r"代碼",
    r"인증\s?(?:번호|코드)",
    r"코드",
)

# What a code is for. Beside one of these a number may be a code, if nothing better is there.
PURPOSE_WORDS = (
    r"verif(?:y|ies|ication|izier\w*|ieer\w*|iëren|icar|icare|ica|ier|iez|ikacj\w*)",
    r"v[eé]rif(?:ier|iez|ication)",
    r"(?:two|2)[- ](?:factor|step)|2fa|mfa",
    r"authenticat\w*|authentifi\w*|authentifizierung|autenticaci[oó]n|autenticazione|autenticação",
    r"(?:log|sign)(?:ging|ning)?[- ]?(?:in|on)",
    r"log-?in|inlog\w*|in te loggen|einlogg\w*|einzuloggen|anzumelden|anmeld\w*|bestätig\w*|freischalt\w*",
    r"confirm(?:ation|er|ez|ar|e|ing)?|activat(?:e|ion)|unlock|approve|autori[sz]\w*|autory[zs]\w*|authori[sz](?:e|ation)",
    r"regist(?:er|ration|rier\w*|razione|ro|rarse|rar)|inscription|registrierung|rejestracj\w*|sign(?:ing)?[- ]?up",
    r"valid(?:ate|ation|er|ez|ar|ieren)|convalida\w*",
    r"(?:link|pair|connect|access|secure|recover) (?:your|this|the)|aktivier\w*|activer|activar|ativar|attivare|aktywow\w*",
    r"conferma\w*|accedere|accesso|acceder|acesso|acessar|entrar|iniciar sesi[oó]n|inicio de sesi[oó]n",
    r"connexion|se connecter|vous connecter|connecter",
    r"uwierzytelni\w*|zaloguj|(?:za)?logowa\w*|potwierd\w*|zweryfikuj",
    r"bevestig\w*|aanmeld\w*",
    r"ログイン|認証|確認|本人確認",
    r"登录|登錄|登入|验证|驗證|认证|注册|註冊",
    r"(?:数字|番号).{0,6}入力|(?:请|請)?(?:输入|輸入)",
)

# What people do with a code: `Enter 482913 to …`.
VERBS = (
    r"use|enter|type|input|insert|submit|provide|with",
    r"verwende[nt]?|nutze[nt]?|gib|geben sie|eingeben|mit",
    r"utilisez|utilise|saisissez|saisir|entrez|tapez|avec",
    r"usa|use|utilice|utiliza|introduce|introduzca|ingresa|ingrese|escribe|con",
    r"inserisci|inserire|digita|utilizza|usare",
    r"insira|digite|utilize|introduza|informe|com",
    r"gebruik|voer|vul|met",
    r"wpisz|użyj|podaj|wprowadź",
)

# What makes a `code` none of these: it saves money, finds a house or names a fault.
OTHER_CODES = (
    r"(?:promo(?:tion(?:al)?)?|discount|coupon|voucher|gift(?:[- ]card)?|offer|referral|invit(?:e|ation)"
    r"|reward|loyalty|savings?|partner|affiliate|sponsor|zip|postal?|area|country|dial(?:ing|ling)?|qr"
    r"|bar|error|status|exit|return|response|source|dress|colou?r|product|item|sku|tracking|shipping"
    r"|booking|reservation|reference|airport|currency|sort|swift|bank|branch|tax|vat|hs|tariff"
    r"|building|voting|course|class|event|meeting|conference|morse|machine|legacy|open[- ]source"
    r"|support|diagnostic|billing|customer|member(?:ship)?|cost|department|job|store|catalog(?:ue)?"
    r"|fault|short|http|ticket|order|invoice|style|model|batch|lot|part)[- ]?"
    r"(?:confirmation )?(?:codes?|pin)",
    r"(?:gutschein|rabatt|aktions|angebots|werbe|empfehlungs|einladungs|fehler|status|länder|quell|strich"
    r"|produkt|artikel|buchungs|sendungs|vorteils|geschenk|qr-?|bar|farb|zip-?|kunden|mitglieds)-?codes?",
    r"code (?:promo(?:tionnel)?|postal|de r[eé]duction|cadeau|avantage|parrain(?:age)?|(?:à )?barres?|d'erreur"
    r"|erreur|source|client|produit|article|de r[eé]servation|qr|remise)",
    r"c[oó]digo (?:postal|promocional|de promoci[oó]n|de descuento|de desconto|de oferta|de error"
    r"|de erro|de barras|de reserva|de producto|de produto|de cliente|de cup[oó]n|de cupom|de regalo"
    r"|de referido|de indica[cç][aã]o|de seguimiento|de rastreio|de rastreamento|qr|fuente|fonte"
    r"|de pa[ií]s|de pedido)",
    r"codice (?:sconto|promozionale|promo|postale|coupon|cliente|prodotto|articolo|a barre|qr|errore"
    r"|di errore|fiscale|iban|prenotazione|di prenotazione|sorgente|amico|di tracciamento|ordine)",
    r"(?:kortings|actie|voucher|cadeau|promo|fout|kleur|land(?:en)?|product|klant|boekings|streepjes"
    r"|vrienden|bron|vriend|kassa|qr-?)codes?",
    r"postcodes?",
    r"kod(?:u|em|y)? (?:rabatow\w+|promocyjn\w+|pocztow\w+|błędu|kreskow\w+|qr|produktu|polecaj\w+"
    r"|rezerwacji|źródłow\w+|zniżkow\w+|klienta)",
    r"(?:クーポン|プロモーション|プロモ|割引|招待|紹介|商品|エラー|郵便|バー|qr|ギフト|キャンペーン|予約|国|優待)\s?コード",
    r"(?:优惠|優惠|折扣|邀请|邀請|推荐|推薦|兑换|兌換|二维|二維|条形|條形|礼品|商品|错误|錯誤|促销)(?:代)?(?:码|碼)",
    r"错误代码|錯誤代碼|股票代码|邮政编码|源代码|代码库",
    r"(?:source|open) code|code (?:review|of conduct|freeze|base|change|snippet|sample|owner|coverage)s?",
)

# What stands before numbers that are no codes: `Order 48213`.
LABELS = (
    r"orders?|purchase order|p\.?o\.?|invoices?|bill|receipts?|ref(?:erence|\.)?|tickets?|cases?|claim"
    r"|accounts?|acct|a/c|customer|client|member(?:ship)?|user(?: ?id)?|ids?|tracking|parcel|shipment"
    r"|booking|reservation|confirmation number|confirmation no|policy|contract|serial|model|part"
    r"|item|sku|article|version|ver|build|release|flight|train|gate|seat|room|flat|house|suite|ste|apt|unit|floor|box"
    r"|p\.?o\.? box|phone|tel(?:ephone)?|fax|mobile|call|dial|text|ext(?:ension)?|port|pid|error|status"
    r"|ending(?: (?:in|with))?|ends (?:in|with)|last (?:4|four)(?: digits)?|card|visa|mastercard|amex"
    r"|iso|rfc|din|§|issue|pull request|pr|merge request|commit"
    r"|bug|jira|job|batch|lot|vat|tax|iban|bic|company|registration|reg|copyright|since"
    r"|license|licence|permit|vin|isbn|zip|stop to|help to|reply to|text to|sms to|to number|transaction"
    r"|txn|trx|payment|deposit|check|cheque|total|amount|balance|subtotal|gmt|hotline|helpline"
    r"|short ?code|no\.",
    r"bestell(?:ung|nummer|nr)|auftrag(?:s?nummer|s?nr)?|rechnung(?:s?nummer|s?nr)?|kunden(?:nummer|nr)"
    r"|vorgang(?:s?nummer|s?nr)?|beleg(?:nummer|nr)?|buchung(?:s?nummer|s?nr)?|sendung(?:s?nummer|s?nr)?"
    r"|paket(?:nummer)?|vertrag(?:s?nummer)?|mitglied(?:s?nummer)?|konto(?:nummer)?|karte|endziffern"
    r"|referenz(?:nummer)?|aktenzeichen|telefon|tel|plz|postfach|fall(?:nummer)?|nummer|nr|zimmer"
    r"|raum|endet auf|endend auf|betrag|summe|jahr|seit|hrb|artikel(?:nummer|nr)?|ust-?id",
    r"commande|facture|r[eé]f[eé]rence|r[eé]f|dossier|client|compte|num[eé]ro|n[°º]|colis|r[eé]servation"
    r"|billet|contrat|t[eé]l[eé]phone|t[eé]l|appelez(?: le)?|carte|se terminant par|finissant par|montant|siret|siren|rcs",
    r"pedido|orden|factura|referencia|reserva|cuenta|cliente|n[uú]mero|n[uú]m|nro|expediente|caso"
    r"|tarjeta|terminad[ao] en|acabad[ao] en|tel[eé]fono|llam[ea](?: al)?|importe|contrato|env[ií]o|gu[ií]a|folio|cp|c\.p",
    r"ordine|fattura|riferimento|rif|prenotazione|conto|numero|num|pratica|spedizione|carta|che termina con"
    r"|telefono|chiama(?: il)?|al numero|importo|contratto|p\.? ?iva|cap|cliente",
    r"encomenda|fatura|nota fiscal|refer[eê]ncia|conta|protocolo|cart[aã]o|final|terminad[ao] em"
    r"|telefone|ligue(?: para)?|valor|cep|nif|cnpj|cpf|contrato|chamado",
    r"bestel(?:ling|nummer)|factuur(?:nummer)?|klant(?:nummer)?|referentie(?:nummer)?|rekening(?:nummer)?"
    r"|ordernummer|pakket|zending|telefoon|bel(?: naar)?|kaart|eindigend op|dossier(?:nummer)?|kvk(?:-nummer)?|boeking(?:snummer)?|bedrag",
    r"zam[oó]wieni[ea]|faktur[ay]|numer(?:u|em)?|klient(?:a)?|rezerwacj[aię]|przesyłk[ai]|kont[oa]|karty?"
    r"|zgłoszeni[ea]|sprawy?|tel|telefon(?:u)?|kwot[ay]|nip|regon|krs|umowy?|paczk[ai]|końcówc?[ea]|pod numer|na numer",
    r"注文(?:番号)?|ご注文番号|請求(?:書)?番号|受付番号|お?問い?合わ?せ番号|お客様番号|会員番号|予約番号|伝票番号|追跡番号|電話(?:番号)?|口座番号"
    r"|下4桁|末尾|カード|郵便番号|〒|合計|金額|管理番号|取引番号|整理番号|契約番号|申込番号|製造番号",
    r"订单(?:号|编号)?|訂單(?:號|編號)?|单号|單號|运单号|快递(?:单号)?|发票(?:号)?|發票(?:號)?|编号|編號|工单(?:号)?|账号|帳號|帐号|卡号|卡號|尾号|尾號|末四位"
    r"|电话|電話|热线|熱線|客服|金额|金額|会员号|會員號|流水号|合同号|房间|版本|邮编|郵編|回复|回覆|学号|工号|车牌|航班|人民币|共计|金额为|消费|余额|積分",
)

# The same, but a colon behind them is the end of something else: `on the next page: 482913`.
PLACES = (
    r"page|p\.|chapter|section|article|line|step|slide|floor|level|seite|abschnitt|zeile|absatz|kapitel",
    r"chapitre|étape|ligne|página|artículo|capítulo|pagina|articolo|capitolo|artigo|strona|rozdział",
    r"页|頁|ページ|章",
)

# What stands behind numbers that are no codes: `4500 points`.
UNITS = (
    r"%|percent|prozent|pour ?cent|por ?ciento|por ?cento|procent",
    r"points?|punkte|pts?|miles|credits?|coins|stars?|likes?|followers?|views?|users?|members?|customers?|people"
    r"|items?|pieces?|units?|orders?|reviews?|votes?|visitors?|subscribers?|steps?|words?|characters?|lines?|files?|employees",
    r"seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|ms|uhr|sekunden|minuten|stunden|tage|jahre"
    r"|secondes|heures|jours|minutos|horas|d[ií]as|segundos|minuti|ore|giorni|secondi|dias|uur|dagen|seconden|minut|godzin|dni|sekund",
    r"[kmgt]i?b|bytes?|bits?|mbit/s|px|dpi|hz|khz|mhz|ghz|k?wh|mah|kcal|cal|k?g|mg|lbs?|oz|km|cm|mm|m²|m|mi|ft|sqm|ml|l|°",
    r"usd|eur|gbp|chf|pln|jpy|cny|rmb|inr|aud|cad|brl|sek|nok|dkk|czk|huf|zł|zl|kr|euros?|dollars?|pounds?|reais|francs?",
    r"円|元|块|美元|ポイント|分(?!钟)|点|点数|名|人|件|個|个|秒|分間|分钟|分鐘|小时|小時|天|日|年|月|時間|時|积分|里程|张|次|号|號|歩|步|位",
    r"street|st\.|ave(?:nue)?|road|rd\.|blvd|boulevard|lane|drive|parkway|pkwy|highway|hwy|way|court|square|plaza|place|floor",
    r"inc\.?|llc|ltd\.?|gmbh|corp\.?|all rights|alle rechte|tous droits|todos los derechos|tutti i diritti|todos os direitos|wszelkie",
)

# A code that is over: `Your old code 111111 is no longer valid`.
OVER = (
    r"no longer (?:valid|work)|has expired|expired|invalid now|old code|previous code|former code|earlier code",
    r"nicht mehr gültig|abgelaufen|ungültig|alter code|alte code|vorherige[rn]? code|bisherige[rn]? code",
    r"n'est plus valable|n'est plus valide|a expiré|ancien code|code précédent",
    r"ya no es válid[oa]|ha caducado|ha expirado|código anterior",
    r"non è più valid[oa]|è scaduto|codice precedente|vecchio codice",
    r"não é mais válid[oa]|já não é válid[oa]|expirou|código anterior|código antigo",
    r"niet meer geldig|verlopen|vorige code|oude code",
    r"stracił ważność|wygasł|poprzedni kod|stary kod|nieważny",
    r"無効|期限切れ|以前のコード|前回のコード|古いコード",
    r"已失效|已过期|已過期|旧验证码|之前的验证码|上一个验证码",
)

# Around a code for the till.
SALES = (
    r"checkout|% ?off|discount|coupon|save (?:up to )?[\d€$£]|sale\b|voucher|promo|free shipping|shop now|deal",
    r"rabatt|gutschein|spar(?:en|st|t|e)\b|angebot|warenkorb|einkauf ab|kasse|aktion\b",
    r"réduction|remise|économis\w+|promo|panier|soldes|livraison offerte|offre",
    r"descuento|oferta|ahorr(?:a|e|as|ar)\b|rebaja|cup[oó]n|carrito|env[ií]o gratis|promoci[oó]n",
    r"sconto|offerta|risparmi\w*|carrello|saldi|spedizione gratuita|promozione",
    r"desconto|economiz\w+|poup\w+|promo[cç][aã]o|cupom|carrinho|frete gr[aá]tis",
    r"korting|aanbieding|bespaar\w*|winkelwagen|actie\b",
    r"rabat|zniżk|oszczęd\w+|promocj|koszyk|wyprzedaż",
    r"クーポン|割引|セール|キャンペーン|お得|オフ",
    r"优惠|折扣|满减|促销|立减|大促|特价|購物|红包",
)

# In links: what leads to the end of a sign-up, and what leads elsewhere.
LINK_WORDS = (
    r"verif|confirm|activat|validat|magic|sign-?in|log-?in|complete|opt-?in|authenticat|authoriz|authoris|accept|one-?time",
    r"bestätig|bestaetig|aktivier|verifizier|anmeld|einlogg|freischalt",
    r"vérifi|activer|activez|valider|validez|connect(?:er|ez)|confirmez",
    r"confirmar|verificar|activar|validar|iniciar sesi[oó]n|acceder|activa tu|confirma|verifica",
    r"conferma|attiva|accedi|convalida",
    r"ativar|ative|validar|acessar|entrar",
    r"bevestig|verifieer|activeer|inloggen",
    r"potwierd|aktyw(?:uj|ow|acj)|zweryfikuj|zaloguj",
    r"確認|認証|有効|ログイン|登録を完了|本登録",
    r"确认|確認|验证|驗證|激活|登录|登入|激活",
)
RESET_WORDS = (
    r"reset|zurücksetz|réinitialis|restablec|reimposta|redefin|herstel|zresetuj|再設定|リセット|重置|重設",
)
OTHER_LINKS = (
    r"unsubscri|opt-?out|preferences|preference-?cent|manage-?(?:email|notif)|notification-?settings|privacy|terms|legal|imprint"
    r"|help|support|faq|contact|about|blog|careers?|jobs|docs|download|app-?store|play\.google|apps\.apple|view-?(?:in-?)?browser"
    r"|webversion|mirror|logo|pixel|track(?:ing)?/open|/open[/?]|facebook|twitter|x\.com|linkedin|instagram|youtube|tiktok|discord"
    r"|report|activity|not-?you|wasn.?t you|didn.?t|did not|cancel|deny|decline|reject|not-?me|block|abuse|secure my account|survey|feedback|pricing",
    r"abmelde|abbestell|datenschutz|impressum|hilfe|agb|kontakt|widerruf|nicht angefordert|abbrechen|im browser",
    r"désabonn|desabonn|confidentialité|aide|mentions|contactez|annuler|dans votre navigateur|pas vous",
    r"darse de baja|cancelar|privacidad|ayuda|aviso legal|baja\b|navegador|no has sido",
    r"disiscri|annulla|aiuto|assistenza|informativa|non sei stat",
    r"descadastr|cancelar inscri|privacidade|ajuda|não foi você",
    r"uitschrijven|afmelden|annuleren|privacybeleid|voorwaarden|niet jij",
    r"wypisz|anuluj|prywatności|pomoc|regulamin|to nie ja",
    r"配信停止|ヘルプ|お問い合わせ|プライバシー|利用規約|キャンセル|心当たり",
    r"退订|取消|隐私|帮助|客服|条款|非本人",
)
